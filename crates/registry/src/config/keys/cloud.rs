//! Rows of the cloud stores, current and gone.

use super::{Fate, Key, Kind, Milestone, SECOND, YEAR, duration};

const MEANWHILE: &str = "until then write `storage.filesystem.rootdirectory: <directory>`";
const GONE: &str = "distribution 3 dropped this store too: use its S3-compatible endpoint (arrives with the object storage milestone), or `storage.filesystem`";
const NOT_YET: Fate = Fate::NotYet(Milestone::ObjectStorage, MEANWHILE);

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "storage.s3",
        Kind::Optional,
        "Keeps the data in Amazon S3 or a store that speaks its protocol.",
    )
    .fate(NOT_YET)
    .example("{region: us-west-1, bucket: bucketname}"),
    Key::new("storage.s3.accesskey", Kind::Secret, "The access key.").example("awsaccesskey"),
    Key::new("storage.s3.secretkey", Kind::Secret, "The secret key.").example("awssecretkey"),
    Key::new("storage.s3.sessiontoken", Kind::Secret, "The session token of temporary keys.")
        .example("awssessiontoken"),
    Key::new("storage.s3.region", Kind::Text, "The region of the bucket.").example("us-west-1"),
    Key::new("storage.s3.regionendpoint", Kind::Text, "The endpoint, for stores other than Amazon's.")
        .example("http://myobjects.local"),
    Key::new("storage.s3.redirectendpoint", Kind::Text, "The endpoint that clients are redirected to.")
        .example("http://public.local"),
    Key::new(
        "storage.s3.forcepathstyle",
        Kind::Flag,
        "Puts the bucket into the path instead of the host name.",
    )
    .example("true"),
    Key::new("storage.s3.accelerate", Kind::Flag, "Uses transfer acceleration.").example("true"),
    Key::new("storage.s3.bucket", Kind::Text, "The bucket.").example("bucketname"),
    Key::new("storage.s3.encrypt", Kind::Flag, "Asks the store to encrypt.").example("true"),
    Key::new("storage.s3.keyid", Kind::Text, "The KMS key to encrypt with.").example("mykeyid"),
    Key::new("storage.s3.secure", Kind::Flag, "Uses HTTPS.").example("true"),
    Key::new("storage.s3.skipverify", Kind::Flag, "Skips the check of the store's certificate.")
        .example("true"),
    Key::new("storage.s3.v4auth", Kind::Flag, "Signs requests with version 4.").example("true"),
    Key::new("storage.s3.chunksize", Kind::Size(0, u64::MAX), "The size of a part of an upload.")
        .example("5242880"),
    Key::new("storage.s3.multipartcopychunksize", Kind::Size(0, u64::MAX), "The size of a part of a copy.")
        .example("33554432"),
    Key::new(
        "storage.s3.multipartcopymaxconcurrency",
        Kind::Count(0, u64::MAX),
        "The most parts copied at the same time.",
    )
    .example("100"),
    Key::new(
        "storage.s3.multipartcopythresholdsize",
        Kind::Size(0, u64::MAX),
        "The size from which on a copy is made in parts.",
    )
    .example("33554432"),
    Key::new("storage.s3.rootdirectory", Kind::Text, "The prefix of all object names.")
        .example("/s3/object/name/prefix"),
    Key::new("storage.s3.storageclass", Kind::Text, "The storage class of new objects.").example("STANDARD"),
    Key::new("storage.s3.objectacl", Kind::Text, "The access control list of new objects.")
        .example("private"),
    Key::new("storage.s3.useragent", Kind::Text, "Added to the User-Agent of requests.").example("registry"),
    Key::new("storage.s3.usedualstack", Kind::Flag, "Uses the dual-stack endpoints.").example("true"),
    Key::new("storage.s3.usefipsendpoint", Kind::Flag, "Uses the FIPS endpoints.").example("true"),
    Key::new("storage.s3.loglevel", Kind::Text, "How much the S3 client logs.").example("debug"),
    Key::new("storage.azure", Kind::Optional, "Keeps the data in Azure Blob Storage.")
        .fate(NOT_YET)
        .example("{accountname: accountname, container: containername}"),
    Key::new("storage.azure.accountname", Kind::Text, "The storage account.").example("accountname"),
    Key::new("storage.azure.accountkey", Kind::Secret, "The key of the account.")
        .example("base64encodedaccountkey"),
    Key::new("storage.azure.connectionstring", Kind::Secret, "Account and key in one text.")
        .example("AccountName=a"),
    Key::new("storage.azure.container", Kind::Text, "The container.").example("containername"),
    Key::new("storage.azure.realm", Kind::Text, "The domain of the cloud.").example("core.windows.net"),
    Key::new("storage.azure.serviceurl", Kind::Text, "The endpoint, for emulators and private clouds.")
        .example("http://127.0.0.1:10000/a"),
    Key::new("storage.azure.rootdirectory", Kind::Text, "The prefix of all blob names.")
        .example("/az/object/name/prefix"),
    Key::new("storage.azure.credentials", Kind::Section, "How the registry proves who it is."),
    Key::new(
        "storage.azure.credentials.type",
        Kind::Text,
        "client_secret, shared_key or default_credentials.",
    )
    .example("client_secret"),
    Key::new("storage.azure.credentials.clientid", Kind::Text, "The client.").example("client_id_string"),
    Key::new("storage.azure.credentials.tenantid", Kind::Text, "The tenant.").example("tenant_id_string"),
    Key::new("storage.azure.credentials.secret", Kind::Secret, "The client's secret.")
        .example("secret_string"),
    Key::new(
        "storage.azure.max_retries",
        Kind::Count(0, u64::MAX),
        "How often the end of a copy is asked for.",
    )
    .example("10"),
    Key::new("storage.azure.retry_delay", duration(SECOND, YEAR), "The pause between two such questions.")
        .example("100ms"),
    Key::new("storage.azure.skipverify", Kind::Flag, "Skips the check of the store's certificate.")
        .example("true"),
    Key::new("storage.gcs", Kind::Optional, "Keeps the data in Google Cloud Storage.")
        .fate(NOT_YET)
        .example("{bucket: bucketname}"),
    Key::new("storage.gcs.bucket", Kind::Text, "The bucket.").example("bucketname"),
    Key::new("storage.gcs.keyfile", Kind::Path, "The file with the service account's key.")
        .example("/path/to/keyfile"),
    Key::new("storage.gcs.credentials", Kind::Section, "The service account's key, written out."),
    Key::new("storage.gcs.credentials.type", Kind::Text, "The type of the key.").example("service_account"),
    Key::new("storage.gcs.credentials.project_id", Kind::Text, "The project.").example("project_id_string"),
    Key::new("storage.gcs.credentials.private_key_id", Kind::Text, "The name of the key.")
        .example("private_key_id_string"),
    Key::new("storage.gcs.credentials.private_key", Kind::Secret, "The key itself.")
        .example("private_key_string"),
    Key::new("storage.gcs.credentials.client_email", Kind::Text, "The service account.")
        .example("client@example.com"),
    Key::new("storage.gcs.credentials.client_id", Kind::Text, "The number of the service account.")
        .example("client_id_string"),
    Key::new("storage.gcs.credentials.auth_uri", Kind::Text, "Where users authorize.")
        .example("http://example.com/auth_uri"),
    Key::new("storage.gcs.credentials.token_uri", Kind::Text, "Where tokens come from.")
        .example("http://example.com/token_uri"),
    Key::new(
        "storage.gcs.credentials.auth_provider_x509_cert_url",
        Kind::Text,
        "Certificates of the provider.",
    )
    .example("http://example.com/provider_cert_url"),
    Key::new("storage.gcs.credentials.client_x509_cert_url", Kind::Text, "Certificates of the client.")
        .example("http://example.com/client_cert_url"),
    Key::new("storage.gcs.rootdirectory", Kind::Text, "The prefix of all object names.")
        .example("/gcs/object/name/prefix"),
    Key::new("storage.gcs.chunksize", Kind::Size(0, u64::MAX), "The size of a part of an upload.")
        .example("5242880"),
    Key::new("storage.gcs.maxconcurrency", Kind::Count(0, u64::MAX), "The most requests at the same time.")
        .example("50"),
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
