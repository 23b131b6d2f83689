//! A storage driver over an S3 bucket: AWS, MinIO, Ceph, Cloudflare R2, Garage.
//!
//! A key is an object's name below the root directory. Uploads in parts are the store's own multipart
//! uploads, conditions its own `If-Match` and `If-None-Match`, and pulls may leave by URLs that are signed
//! here without asking anybody. Nothing is kept between two calls but connections and credentials, so any
//! process may make the next one.
//!
//! - **One request for each call.** `get`, `put`, `stat`, `delete`, `list` (1000 objects) and every step of an
//!   upload are one; completion too, whatever the size. Two where the first answer leaves a doubt: a HEAD
//!   that says 404 when nothing proved within a minute that the bucket is there; a completion that tells no
//!   ETag, as Ceph's, or of an upload that is gone, which looks whether the object is there. Three for a
//!   completion that fails by `InternalError`.
//! - **One layer retries.** [`Config::attempts`] is 1: `decorate::Retry` asks again, within a budget. Only a
//!   conditional write that met another at the same instant (409) is repeated here, at most five times.
//! - **No copy of a part.** The pieces of a part go to the socket as they are: sending 256 MiB in 2048 pieces
//!   took 144 KiB of memory beside them. Each part and object carries a CRC32C that the store compares; it is
//!   covered by the request's signature, the payload itself is not hashed a second time. Where a store tells the
//!   checksum of an upload's parts once it is completed, as AWS, MinIO and Garage do, it has to be that of ours, or the
//!   push begins anew.
//! - **A URL in microseconds**, and the same from every process with the same keys. Temporary keys stand in it,
//!   so each of two pods makes its own. 6 µs measured with static credentials, 11 µs with a session token of
//!   800 bytes, on a machine with other work to do.
//! - **Honest absence.** Only the code `NoSuchKey` and a HEAD's 404 mean "not found", the latter only where
//!   the bucket is known to be there. A missing bucket, a wrong endpoint and a refusal are failures.
//! - **Deadlines.** Every attempt has one ([`Config::timeouts`]), and so has every chunk of a body. A record has half
//!   a minute, a part as long as its size needs at 1 MiB/s, a minute at least.
//! - **HTTP/1.1**, whatever a proxy in front of the store offers: over HTTP/2 all calls would share one connection,
//!   and bodies that are read slowly would stop it.
//!
//! # Configuration
//!
//! The keys are those of CNCF distribution's `s3` driver; [`Config`] is what they become.
//!
//! | key | meaning | default |
//! |---|---|---|
//! | `bucket` | the bucket | required |
//! | `region` | the region that is signed | required; `us-east-1` suits stores without regions |
//! | `regionendpoint` | the endpoint of a store that is not AWS | AWS's own |
//! | `redirectendpoint` | the endpoint presigned URLs are made for and signed with, see below | as `regionendpoint` |
//! | `forcepathstyle` | the bucket in the path instead of the host, of both endpoints; MinIO, Ceph and Garage want it | `true` with `regionendpoint`, else `false` |
//! | `accelerate` | Transfer Acceleration; AWS only | `false` |
//! | `usedualstack` | the endpoint with IPv6; AWS only | `false` |
//! | `usefipsendpoint` | the FIPS endpoint; AWS only | `false` |
//! | `accesskey`, `secretkey`, `sessiontoken` | static credentials | the chain below |
//! | `rootdirectory` | where below the bucket everything lies | the bucket's top |
//! | `chunksize` | bytes of a part, 5 MiB to 5 GiB | 16 MiB |
//! | `encrypt` | ask for SSE-S3, or for SSE-KMS with `keyid` | as the bucket says |
//! | `keyid` | the KMS key | the account's |
//! | `storageclass` | class of what is 128 KiB or larger; `GLACIER` and `DEEP_ARCHIVE` are refused | the bucket's |
//! | `objectacl` | a canned ACL | none |
//! | `useragent` | words before the SDK's own | none |
//! | `secure` | TLS for an endpoint without a scheme | `true` |
//! | `skipverify` | take any certificate; for trying out only | `false` |
//! | `conditionaldelete` | the store honours conditions on a delete | `true` on AWS itself, else `false` |
//! | `bareetags` | conditions name ETags without the quotes HTTP wants | `false`; set `true` for Ceph and DigitalOcean Spaces |
//! | `uniformparts` | all parts but the last have one size | `false`; set `true` for R2 |
//! | `checksums` | a CRC32C goes with each part and object | `true` |
//!
//! `redirectendpoint` is an endpoint, not the bucket's own name: the bucket is put before its host, or into its path
//! by `forcepathstyle`, as it is for `regionendpoint`. On AWS `redirectendpoint: https://images.example.com` makes
//! URLs of `BUCKET.images.example.com`, which has to be a name in the DNS and in the certificate there; with
//! `forcepathstyle: true` they are of `images.example.com/BUCKET`, and the registry asks AWS by path too.
//!
//! The root directory is part of a name, which S3 limits to 1024 bytes: it makes the longest key shorter.
//! Keys of multipart copies mean nothing here: no byte is ever copied. A part size above the store's limit of
//! 10,000 parts is not needed for large blobs, since parts grow where `uniformparts` does not forbid it.
//!
//! **Credentials** without static ones come from the SDK's chain, the first that has any: environment,
//! profile, web identity (IRSA: `AWS_WEB_IDENTITY_TOKEN_FILE`), container endpoint (ECS, EKS Pod Identity),
//! instance metadata (IMDSv2). They are fetched at first use and renewed five minutes before they end, beside
//! the work; a URL is never valid for longer than the credentials that signed it. For a web identity STS is asked in
//! `region`, at AWS whatever `regionendpoint` says; `AWS_ENDPOINT_URL_STS` names another, as MinIO's own. Over plain
//! http a container endpoint is asked at loopback, 169.254.170.2, 169.254.170.23 and `fd00:ec2::23` alone: that list
//! is the SDK's.
//!
//! **Certificates**: of the system's authorities, or of those in `SSL_CERT_FILE` and `SSL_CERT_DIR`; the driver brings
//! none along. In a container without any (no `ca-certificates`) a warning at start says so, calls fail by
//! `UnknownIssuer`, and [`S3Driver::inspect`] tells what to do.
//!
//! # Permissions
//!
//! The least that suffices, `drivers/s3/policy.json`; without a root directory the second resource is
//! `arn:aws:s3:::BUCKET/*`. With `encrypt` and `keyid`, or a bucket that encrypts by KMS on its own, add
//! `kms:GenerateDataKey` and `kms:Decrypt` on the key.
//!
//! ```json
#![doc = include_str!("../policy.json")]
//! ```
//!
//! The whole contract holds on MinIO with keys that may do this and nothing else, and [`S3Driver::inspect`] names each
//! action that is withheld (`tests/conformance/inspecting/policy.rs`). `s3:ListMultipartUploadParts`, which
//! distribution wants, is not needed: parts are told by who sent them. One question wants it: whether an upload is
//! still known whose completion failed by `InternalError`. A refusal is taken for yes, so that the completion may be
//! repeated. That is right on AWS, which answers `NoSuchUpload` where it is not; of Ceph, which answers
//! `InternalError`, allow it, or a client whose upload is gone is answered 5xx instead of being told to begin anew.
//!
//! `s3:ListBucket` is what makes the store say `NoSuchKey`: without it a missing object is answered 403, and
//! that is never taken for absence. With `objectacl` add `s3:PutObjectAcl`. For [`S3Driver::inspect`] to look
//! at settings too: `s3:GetLifecycleConfiguration`, `s3:GetBucketVersioning`, `s3:GetBucketPolicyStatus`.
//!
//! # Stores
//!
//! | store | settings | limits |
//! |---|---|---|
//! | AWS | none | not run against it |
//! | MinIO | `regionendpoint`, `forcepathstyle` | ignores conditions on deletes; tells of some full pages of a listing that nothing follows, so a full page is never taken for the last; lists unfinished uploads by a whole key or all of them, so one page of all is looked through |
//! | Ceph | `regionendpoint`, `bareetags` | takes a quoted ETag for another version; answers 500 to the losers of a race, who ask again; completes without an ETag, and by 500 what it completed before, so that the object is looked at; an upload into which a part was sent that is not named at its end is never completed, and has to be begun anew; an overwrite without a condition may give way to one with a condition, which the registry never does |
//! | Garage | `regionendpoint`, `region: garage`, `storage.conditionalwrites: assume-single-replica` | answers 200 to a put with a condition and overwrites, so one process only; two parts with one number that arrive within one millisecond become a mixture of both, so give it no two pushes of one upload |
//! | R2 | `regionendpoint`, `region: auto`, `uniformparts` | not run; `checksums: false` if it refuses the header; takes about one write a second of one name, by its own words, and a push writes its manifest and its tag twice: the second waits |
//! | DigitalOcean Spaces | `regionendpoint`, `bareetags` | not run |
//! | S3 Express | a directory bucket's name | not run; no presigned URLs; listings are not in order, which the registry relies on: use it for nothing yet |
//!
//! **Without conditional deletes**, which are assumed of AWS alone, the record of a session is never removed: a few
//! hundred bytes stay in `uploads/` for each upload that took a PATCH or was given up, also after it was purged,
//! since whoever still has its token must not find the name free. A push in one request, or by POST and PUT, leaves
//! none. The purge lists them, a thousand by a request, and reads none that it has ended.
//!
//! # What is proven where
//!
//! `cargo xtask test --only stores` installs and starts four kinds of servers. On a bucket of one's own:
//! `ENTREPOT_TEST_S3=https://ACCESS:SECRET@HOST/BUCKET?region=…&path_style=false cargo test -p
//! entrepot-driver-s3`, without `ACCESS:SECRET@` by the chain above, with the parameters of
//! `tests/conformance/server.rs`.
//!
//! The whole contract runs against MinIO, Ceph 16, Garage 2.5 (all with real signatures) and moto (another
//! reading of S3's semantics, without signatures), but for the cases a server breaks by itself: two of Ceph's,
//! one of Garage's, nine of moto's, by name in `crates/xtask/src/services`. On MinIO it also runs below a root
//! directory, with a third of all calls failing, with keys that hold the permissions above and no others, and over
//! https against one that encrypts everything by a key of its KMS.
//!
//! The chain of credentials: the binary pushes to MinIO and is redirected there with temporary keys of MinIO's
//! own STS, found by variables, by a profile, and from imitations of STS (IRSA), EKS's agent, ECS's agent and
//! the metadata of an instance, which refuse who asks otherwise than documented
//! (`tests/stores/identities.rs`). Both agents are asked at a whole address on loopback there, EKS's not at
//! 169.254.170.23 and ECS's not at 169.254.170.2; that the SDK takes those is its own tests' to show.
//!
//! What only AWS itself can show has not been seen: those services themselves, its KMS, dual-stack, FIPS and
//! accelerated endpoints, 503 SlowDown under load, 409 on concurrent conditional writes, and conditional
//! deletes. Endpoints are made by the SDK's own rules; the answers 409, 503 and 200 with an error inside are
//! tried with canned ones.

mod body;
mod client;
mod config;
mod connections;
mod credentials;
mod driver;
mod error;
mod inspect;
mod list;
mod presign;
mod read;
mod upload;
mod user_agent;
mod write;

pub use config::{Checksum, Config, CredentialSource, Encryption, OpenError, StaticCredentials};
pub use driver::S3Driver;

/// The driver's name in configuration, errors and logs.
pub(crate) const NAME: &str = "s3";
