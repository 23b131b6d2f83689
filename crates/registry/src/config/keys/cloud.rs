//! Rows of the cloud stores, current and gone.

use super::{Fate, Key, Kind, SECOND, YEAR, duration};

const GONE: &str = "distribution 3 dropped this store too: use its S3-compatible endpoint with `storage.s3`, or `storage.filesystem`";
const NO_COPIES: &str = "blobs are written where they stay, so nothing is copied";
const MIB: u64 = 1 << 20;

pub(super) const KEYS: &[Key] = &[
    Key::new("storage.s3", Kind::Optional, "Keeps the data in Amazon S3 or a store that speaks its protocol.")
        .example("{region: us-west-1, bucket: bucketname}"),
    Key::new("storage.s3.bucket", Kind::Text, "The bucket. It has to exist.").required().example("images"),
    Key::new("storage.s3.region", Kind::Text, "The region of the bucket. Stores without regions take any; `us-east-1` is usual.")
        .required()
        .example("eu-central-1"),
    Key::new("storage.s3.regionendpoint", Kind::Text, "The endpoint, for stores other than Amazon's. Without a scheme, `secure` decides.")
        .example("http://minio:9000"),
    Key::new("storage.s3.redirectendpoint", Kind::Text, "The endpoint that redirected pulls name, where clients reach the store by another name than the registry does. The bucket is put before its host, as `BUCKET.images.example.com`, unless `forcepathstyle` puts it into the path.")
        .example("https://images.example.com"),
    Key::new("storage.s3.forcepathstyle", Kind::Flag, "Puts the bucket into the path instead of the host name, at `regionendpoint` and `redirectendpoint` alike. Default: true with `regionendpoint`, else false.")
        .example("true"),
    Key::new("storage.s3.accesskey", Kind::Secret, "The access key, with `secretkey`. Without both, credentials come from the environment, a profile, a web identity (IRSA), the container (ECS, EKS Pod Identity) or the instance (IMDSv2).")
        .example("AKIAIOSFODNN7EXAMPLE"),
    Key::new("storage.s3.secretkey", Kind::Secret, "The secret key.").example("wJalrXUtnFEMI"),
    Key::new("storage.s3.sessiontoken", Kind::Secret, "The session token of temporary keys. They are not renewed.")
        .example("token"),
    Key::new("storage.s3.rootdirectory", Kind::Text, "The prefix of all object names.")
        .default("")
        .example("/registry"),
    Key::new("storage.s3.chunksize", Kind::Size(5 * MIB, 5 << 30), "The size of a part of an upload. `uploads.part_size` goes before it.")
        .default("16MiB")
        .example("32MiB"),
    Key::new("storage.s3.encrypt", Kind::Flag, "Asks the store to encrypt what is written: with its own keys, or with `keyid`. Without, the bucket's default holds.")
        .default("false")
        .example("true"),
    Key::new("storage.s3.keyid", Kind::Text, "The KMS key to encrypt with; needs `encrypt`.").example("mykeyid"),
    Key::new("storage.s3.storageclass", Kind::Text, "The storage class of blobs of 128 KiB and more. Records keep STANDARD: they are small and read often.")
        .default("STANDARD")
        .example("INTELLIGENT_TIERING"),
    Key::new("storage.s3.objectacl", Kind::Text, "The canned access control list of new objects. Default: none is sent, which buckets without ACLs need.")
        .example("bucket-owner-full-control"),
    Key::new("storage.s3.secure", Kind::Flag, "Whether an endpoint without a scheme is spoken to by HTTPS.")
        .default("true")
        .example("false"),
    Key::new("storage.s3.skipverify", Kind::Flag, "Takes any certificate of the store. For trying out only: whoever sits between may read and change everything.")
        .default("false")
        .example("true"),
    Key::new("storage.s3.accelerate", Kind::Flag, "Uses transfer acceleration.").default("false").example("true"),
    Key::new("storage.s3.usedualstack", Kind::Flag, "Uses the endpoints that speak IPv6 too.")
        .default("false")
        .example("true"),
    Key::new("storage.s3.usefipsendpoint", Kind::Flag, "Uses the FIPS endpoints.").default("false").example("true"),
    Key::new("storage.s3.useragent", Kind::Text, "Added to the User-Agent of requests.").example("registry"),
    Key::new("storage.s3.conditionaldelete", Kind::Flag, "Whether the store honours a condition on a delete. Default: true for Amazon's own endpoints, else false.")
        .ours()
        .example("true"),
    Key::new("storage.s3.bareetags", Kind::Flag, "Whether conditions name versions without the quotes HTTP wants, as Ceph and DigitalOcean Spaces compare them.")
        .ours()
        .default("false")
        .example("true"),
    Key::new("storage.s3.uniformparts", Kind::Flag, "Whether all parts of an upload but the last must have one size, as Cloudflare R2 wants.")
        .ours()
        .default("false")
        .example("true"),
    Key::new("storage.s3.checksums", Kind::Flag, "Sends a CRC32C along with each part, which the store compares. For stores that do not know such headers write false.")
        .ours()
        .default("true")
        .example("false"),
    Key::new("storage.s3.v4auth", Kind::Flag, "Signs requests with version 4.")
        .fate(Fate::Ignored("requests are always signed with version 4; version 2 is gone everywhere"))
        .example("true"),
    Key::new("storage.s3.multipartcopychunksize", Kind::Size(0, u64::MAX), "The size of a part of a copy.")
        .fate(Fate::Ignored(NO_COPIES))
        .example("33554432"),
    Key::new("storage.s3.multipartcopymaxconcurrency", Kind::Count(0, u64::MAX), "The most parts copied at the same time.")
        .fate(Fate::Ignored(NO_COPIES))
        .example("100"),
    Key::new("storage.s3.multipartcopythresholdsize", Kind::Size(0, u64::MAX), "The size from which on a copy is made in parts.")
        .fate(Fate::Ignored(NO_COPIES))
        .example("33554432"),
    Key::new("storage.s3.loglevel", Kind::Text, "How much the S3 client logs.")
        .fate(Fate::Ignored("the client logs like the rest, see `log.level`"))
        .example("debug"),
    Key::new("storage.azure", Kind::Optional, "Keeps the data in Azure Blob Storage.")
        .example("{accountname: accountname, container: containername}"),
    Key::new("storage.azure.accountname", Kind::Text, "The storage account. A connection string names it too.")
        .example("accountname"),
    Key::new("storage.azure.container", Kind::Text, "The container. It has to exist.").required().example("images"),
    Key::new("storage.azure.accountkey", Kind::Secret, "One of the account's two keys.").example("YWNjb3VudGtleQ=="),
    Key::new("storage.azure.connectionstring", Kind::Secret, "Account, key and endpoints in one text, as the portal shows it.")
        .example("AccountName=a;AccountKey=YWNjb3VudGtleQ=="),
    Key::new("storage.azure.realm", Kind::Text, "The domain of the cloud.")
        .default("core.windows.net")
        .example("core.chinacloudapi.cn"),
    Key::new("storage.azure.serviceurl", Kind::Text, "The endpoint of the account, for emulators and private clouds.")
        .example("http://127.0.0.1:10000/accountname"),
    Key::new("storage.azure.redirectendpoint", Kind::Text, "The address that redirected pulls name instead of the account's: Front Door, a private endpoint.")
        .ours()
        .example("https://images.example.com"),
    Key::new("storage.azure.rootdirectory", Kind::Text, "The prefix of all blob names.")
        .default("")
        .example("/registry"),
    Key::new("storage.azure.chunksize", Kind::Size(1 << 16, 4000 * MIB), "The size of a block of an upload. `uploads.part_size` goes before it.")
        .ours()
        .default("8MiB")
        .example("16MiB"),
    Key::new("storage.azure.credentials", Kind::Section, "How the registry proves who it is."),
    Key::new("storage.azure.credentials.type", Kind::OneOf(&["client_secret", "shared_key", "default_credentials"]), "`default_credentials` takes what AZURE_CLIENT_SECRET, a workload identity or the machine's managed identity offers. Default: shared_key with an account key or connection string, else default_credentials.")
        .example("default_credentials"),
    Key::new("storage.azure.credentials.clientid", Kind::Text, "The application, or the user-assigned identity to take.")
        .example("client_id_string"),
    Key::new("storage.azure.credentials.tenantid", Kind::Text, "The tenant of the application.")
        .example("tenant_id_string"),
    Key::new("storage.azure.credentials.secret", Kind::Secret, "The application's secret.").example("secret_string"),
    Key::new("storage.azure.skipverify", Kind::Flag, "Takes any certificate of the account. For trying out only.")
        .default("false")
        .example("true"),
    Key::new("storage.azure.max_retries", Kind::Count(0, u64::MAX), "How often the end of a copy is asked for.")
        .fate(Fate::Ignored(NO_COPIES))
        .example("10"),
    Key::new("storage.azure.retry_delay", duration(SECOND, YEAR), "The pause between two such questions.")
        .fate(Fate::Ignored(NO_COPIES))
        .example("100ms"),
    Key::new("storage.gcs", Kind::Optional, "Keeps the data in Google Cloud Storage.").example("{bucket: bucketname}"),
    Key::new("storage.gcs.bucket", Kind::Text, "The bucket. It has to exist.").required().example("images"),
    Key::new("storage.gcs.keyfile", Kind::Path, "The file with the service account's key. Without it and `credentials`, the application default credentials are used: workload identity, the machine's service account.")
        .example("/path/to/keyfile"),
    Key::new("storage.gcs.credentials", Kind::Section, "The service account's key, written out."),
    Key::new("storage.gcs.credentials.type", Kind::Text, "The type of the key.").example("service_account"),
    Key::new("storage.gcs.credentials.project_id", Kind::Text, "The project.").example("project_id_string"),
    Key::new("storage.gcs.credentials.private_key_id", Kind::Text, "The name of the key.")
        .example("private_key_id_string"),
    Key::new("storage.gcs.credentials.private_key", Kind::Secret, "The key itself.").example("private_key_string"),
    Key::new("storage.gcs.credentials.client_email", Kind::Text, "The service account.").example("client@example.com"),
    Key::new("storage.gcs.credentials.client_id", Kind::Text, "The number of the service account.")
        .example("client_id_string"),
    Key::new("storage.gcs.credentials.auth_uri", Kind::Text, "Where users authorize.")
        .example("http://example.com/auth_uri"),
    Key::new("storage.gcs.credentials.token_uri", Kind::Text, "Where tokens come from.")
        .example("http://example.com/token_uri"),
    Key::new("storage.gcs.credentials.auth_provider_x509_cert_url", Kind::Text, "Certificates of the provider.")
        .example("http://example.com/provider_cert_url"),
    Key::new("storage.gcs.credentials.client_x509_cert_url", Kind::Text, "Certificates of the client.")
        .example("http://example.com/client_cert_url"),
    Key::new("storage.gcs.hmacaccessid", Kind::Text, "The access id of an HMAC key, with `hmacsecret`. It signs redirected pulls in microseconds and without asking Google, which matters where no key file is at hand.")
        .ours()
        .example("GOOG1EXAMPLE"),
    Key::new("storage.gcs.hmacsecret", Kind::Secret, "The secret of that key.").ours().example("secret_string"),
    Key::new("storage.gcs.signingaccount", Kind::Text, "The service account in whose name IAM signs redirected pulls, by its email. Needed with workload identity federation only.")
        .ours()
        .example("registry@project.iam.gserviceaccount.com"),
    Key::new("storage.gcs.kmskeyname", Kind::Text, "The Cloud KMS key new objects are encrypted with. Without, the bucket's default holds.")
        .ours()
        .example("projects/p/locations/eu/keyRings/r/cryptoKeys/k"),
    Key::new("storage.gcs.endpoint", Kind::Text, "The endpoint, for emulators and private access.")
        .ours()
        .example("http://127.0.0.1:4443"),
    Key::new("storage.gcs.anonymous", Kind::Flag, "Uses no credentials at all: for emulators.")
        .ours()
        .default("false")
        .example("true"),
    Key::new("storage.gcs.redirectendpoint", Kind::Text, "The address that redirected pulls name instead of Google's.")
        .ours()
        .example("https://images.example.com"),
    Key::new("storage.gcs.redirectbucketbound", Kind::Flag, "The redirect endpoint's host stands for the bucket, whose name then is not in the path: a CNAME, a load balancer.")
        .ours()
        .default("false")
        .example("true"),
    Key::new("storage.gcs.rootdirectory", Kind::Text, "The prefix of all object names.")
        .default("")
        .example("/registry"),
    Key::new("storage.gcs.chunksize", Kind::Size(5 * MIB, 5 << 30), "The size of a part of an upload. `uploads.part_size` goes before it.")
        .default("16MiB")
        .example("32MiB"),
    Key::new("storage.gcs.maxconcurrency", Kind::Count(1, 10_000), "The most deletes at the same time.")
        .default("50")
        .example("20"),
    Key::new("storage.gcs.useragent", Kind::Text, "Added to the User-Agent of requests.").example("registry"),
    Key::new("storage.oss", Kind::Optional, "Alibaba Cloud OSS, in distribution 2.")
        .dropped()
        .fate(Fate::Refused(GONE))
        .example("{bucket: bucketname}"),
    Key::new("storage.swift", Kind::Optional, "OpenStack Swift, in distribution 2.")
        .dropped()
        .fate(Fate::Refused(GONE))
        .example("{container: containername}"),
];
