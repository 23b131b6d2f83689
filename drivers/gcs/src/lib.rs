//! A storage driver over Google Cloud Storage.
//!
//! `google-cloud-storage` writes objects; `google-cloud-auth` says who we are: it reads the credentials, fetches
//! and renews tokens, and asks IAM for signatures. The rest are requests of our own, by the XML API (reads,
//! uploads in parts, deletes) and the JSON API (listings and metadata). All of it is HTTP/1.1 with rustls and
//! ring.
//!
//! | call | by | because |
//! |---|---|---|
//! | put | the library's `write_object`, in one request whatever the size | |
//! | get | our XML GET | the library keeps `Last-Modified` to itself, and the registry has to know a record for old before it relies on it; and `Content-Range`, so bytes of another range could not be told from those that were asked for |
//! | stat, list, delete | our JSON and XML requests | the library has them by gRPC only (`StorageControl`), which emulators and private endpoints for HTTP do not speak |
//! | uploads in parts | our XML requests | the library's resumable sessions are its own: no other process could continue one |
//! | signed URLs | our V4 signatures | the library signs at the present moment only, so no two processes would make one URL. Ours are those of Google's published vectors, byte for byte |
//!
//! The library's own retries are off. What comes with it: `Host` without a port; a put that is chunked, without
//! `Content-Length`; the answer to a put read whole, and no limit for connecting, both bounded by the call's
//! deadline only. `GOOGLE_CLOUD_UNIVERSE_DOMAIN` must not name another cloud than Google's own: the library
//! reads it by itself.
//!
//! - **Atomic**: a put is one request; conditions are generations (`ifGenerationMatch`), and a version is
//!   a generation.
//! - **Checked**: every object and part goes with its CRC32C, which the store compares; what it answers is
//!   compared again, and so is every whole object that is read.
//! - **Resumable by anybody**: an upload is an XML multipart upload, each part known by its ETag. Completion
//!   moves no bytes through us. It replaces what is at the key, so keys are used once. Google says that it
//!   may take minutes; we wait for 120 s, which no key changes, and it may be repeated.
//! - **Honest**: only the store's word for a missing object is "not found"; a bucket that is missing, refused
//!   or silent is a failure.
//! - **One attempt** per call, each within its deadline: `decorate::Retry` asks again.
//!
//! # Settings
//!
//! | key | meaning | default |
//! |---|---|---|
//! | `bucket` | the bucket | – |
//! | `keyfile` | a JSON file with credentials: a service account's key, workload identity federation, an impersonation | – |
//! | `credentials` | the fields of a service account's key | – |
//! | `anonymous` | nobody, for emulators | `false` |
//! | (neither) | Application Default Credentials: `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's file, the metadata server (GCE, GKE workload identity) | |
//! | `rootdirectory` | where below the bucket everything lies | the top |
//! | `chunksize` | bytes of a part, 5 MiB to 5 GiB | 16 MiB |
//! | `maxconcurrency` | deletes in flight at once in a sweep | 50 |
//! | `useragent` | stands before our own words in `User-Agent` | – |
//! | `endpoint` | an emulator or a private endpoint, with its scheme | `https://storage.googleapis.com` |
//! | `redirectendpoint` | the endpoint signed URLs name | as `endpoint` |
//! | `redirectbucketbound` | that endpoint's host stands for the bucket, whose name then is not in the path: a CNAME, a load balancer's backend bucket | `false` |
//! | `kmskeyname` | the Cloud KMS key of new objects | the bucket's default |
//! | `hmacaccessid`, `hmacsecret` | an HMAC key that signs URLs | – |
//! | `signingaccount` | the service account IAM signs for, where the credentials have none of their own (workload identity federation) | – |
//!
//! The names of the keys are the configuration layer's; here they are the fields of [`Config`].
//!
//! # Signed URLs
//!
//! | signed with | cost of a new URL | longest life |
//! |---|---|---|
//! | an HMAC key | microseconds | 7 days |
//! | a service account's key (`keyfile`, `credentials`) | about 1 ms of CPU, then kept | 7 days |
//! | IAM `signBlob` (default credentials, impersonation, `signingaccount`) | a request, then kept and made ahead | 12 hours |
//!
//! All processes make the same URL of the same options; with IAM only while Google signs with the same key.
//! Clients may add `Range`. The URLs of the 10,000 objects that were asked for last are kept, two of each, and
//! who asks for one that is being signed waits for it. An object that is asked for with two lifetimes (for everybody
//! and for who has logged in) or as two media types counts twice.
//!
//! The registry asks for the URL of the beginning of a span, which is half of a URL's life. With each URL by IAM
//! the next span's is signed beside the pull, so of an object that is pulled in every span only the first pull
//! waits for IAM; one that was not pulled for a whole span begins anew. What is handed out is the URL of the very
//! span: it ends when it was asked to end, and until the next span begins at least half of its life is left. It
//! costs one request more for each object, when it stops being pulled. URLs that live longer than eight hours are
//! signed when they are wanted: ahead, Google's key might be gone before they end.
//!
//! IAM gets three seconds for a signature. Where it refuses or says nothing, no URL is made for 30 seconds,
//! unless one is kept: the registry sends the blobs itself, and says so in the log once in that time.
//!
//! IAM signs for Google service accounts only. In GKE with workload identity federation bound to a Kubernetes
//! service account directly, the metadata server tells `PROJECT.svc.id.goog` for an account, and there is none
//! of that name to sign for. Two set-ups work:
//!
//! - a Google service account linked to the Kubernetes one, by the annotation `iam.gke.io/gcp-service-account`
//!   and `roles/iam.workloadIdentityUser`;
//! - `signingaccount` with a Google service account that may read the bucket, and
//!   `roles/iam.serviceAccountTokenCreator` on it for the principal the registry is.
//!
//! # Permissions
//!
//! `roles/storage.objectUser` on the bucket is enough: `storage.objects.{create,get,list,delete}` and
//! `storage.multipartUploads.{create,list,abort}` are what is used. An inspection also reads the bucket's
//! settings with `storage.buckets.get` (`roles/storage.legacyBucketReader`), which nothing else needs. To sign
//! by IAM the account needs `iam.serviceAccounts.signBlob` on itself
//! (`roles/iam.serviceAccountTokenCreator`), and the project the API `iamcredentials.googleapis.com`. The account
//! that signs, by IAM or by an HMAC key, needs `storage.objects.get`: a URL reads what its signer may read.
//!
//! With `kmskeyname` it is not the registry that uses the key but Google's storage service agent of the
//! bucket's project, `service-NUMBER@gs-project-accounts.iam.gserviceaccount.com`, which needs
//! `roles/cloudkms.cryptoKeyEncrypterDecrypter` on the key.
//!
//! # How often one name may be written
//!
//! Google takes about one write per second to one name and may answer 429 to more. That is passed on as
//! throttling with a second to wait, so a write that came too soon is repeated in time. The bytes of blobs never
//! meet it: each name is written once. A push writes the record of its manifest twice and that of its tag too,
//! and an upload's session is written once for each PATCH: where Google insists, each costs a second more than
//! elsewhere. A tag that many jobs push at once (`latest` of every build) moves no faster than that; whoever finds
//! no room in three attempts is answered 429 and has to ask again. Let each job push a tag of its own, and move
//! the shared one when all are done.
//!
//! # What is known about the real store, and what is not
//!
//! The contract's suite runs on `fake`, a server of our own written from Google's pages, and on a real bucket
//! where `ENTREPOT_TEST_GCS` names one. What fake-gcs-server has of it runs there too, so that conditional
//! writes, listings and ranges were not misread twice. The signed text is checked against Google's published
//! vectors, and the library's request to IAM by an imitation of STS and IAM on loopback (`tests/signing`), for
//! workload identity federation with a `signingaccount`.
//!
//! Not verified on the real store yet: that parts are refused for a wrong `x-goog-hash`, and writes for a wrong
//! `crc32c`; whether a completed upload is answered with its generation and hash (both are used where they are
//! told, neither is needed; the fake tells the hash); which fault of several a completion is refused for (a part
//! of another writer may be missing or too small, and both are taken for the same); that a part sent to a
//! completed upload is answered by `NoSuchUpload`; signatures by HMAC key and by IAM itself, and by IAM for the
//! account a metadata server tells; tokens of Google's own services, since the binary got its from imitations of
//! the metadata server and of STS (`tests/stores/identities.rs`).

mod client;
mod config;
mod credentials;
mod driver;
mod error;
#[cfg(feature = "fake")]
pub mod fake;
mod iam;
mod inspect;
mod kept;
mod library;
mod list;
mod presign;
mod read;
mod upload;
mod write;

pub use config::{Config, CredentialSource, HmacKey, Secret};
pub use driver::GcsDriver;
pub use error::OpenError;

/// The driver's name in configuration, errors and logs.
pub(crate) const NAME: &str = "gcs";
