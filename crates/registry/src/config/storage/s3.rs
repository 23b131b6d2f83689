//! `storage.s3`.

use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;
use crate::config::settle::Settling;
use crate::config::size;

/// `storage.s3` as it was written, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    bucket: String,
    region: String,
    regionendpoint: Option<String>,
    redirectendpoint: Option<String>,
    forcepathstyle: Option<bool>,
    accesskey: Option<Secret<String>>,
    secretkey: Option<Secret<String>>,
    sessiontoken: Option<Secret<String>>,
    rootdirectory: String,
    #[serde(deserialize_with = "size::deserialize")]
    chunksize: u64,
    encrypt: bool,
    keyid: Option<String>,
    storageclass: String,
    objectacl: Option<String>,
    secure: bool,
    skipverify: bool,
    accelerate: bool,
    usedualstack: bool,
    usefipsendpoint: bool,
    useragent: Option<String>,
    conditionaldelete: Option<bool>,
    bareetags: bool,
    uniformparts: bool,
    checksums: bool,
}

/// A bucket of Amazon S3, or of a store that speaks its protocol. Sizes are in bytes.
#[derive(Debug, Clone, Serialize)]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// The endpoint of a store other than Amazon's.
    #[serde(rename = "regionendpoint", skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The endpoint clients are redirected to.
    #[serde(rename = "redirectendpoint", skip_serializing_if = "Option::is_none")]
    pub redirect_endpoint: Option<String>,
    /// Whether the bucket stands in the path. Default: true with an endpoint.
    #[serde(rename = "forcepathstyle")]
    pub force_path_style: bool,
    /// Keys that were written down; the SDK's chain without.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub keys: Option<S3Keys>,
    /// The prefix of all object names. Default: none.
    #[serde(rename = "rootdirectory")]
    pub root_directory: String,
    /// Size of a part. Default: 16 MiB.
    #[serde(rename = "chunksize", serialize_with = "size::serialize")]
    pub part_bytes: u64,
    /// Whether the store is asked to encrypt. Default: false.
    pub encrypt: bool,
    /// The KMS key for that.
    #[serde(rename = "keyid", skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// The storage class of blobs. Default: STANDARD.
    #[serde(rename = "storageclass")]
    pub storage_class: String,
    /// The canned ACL of new objects.
    #[serde(rename = "objectacl", skip_serializing_if = "Option::is_none")]
    pub object_acl: Option<String>,
    /// Whether an endpoint without a scheme is spoken to by HTTPS. Default: true.
    pub secure: bool,
    /// Whether any certificate is taken. Default: false.
    #[serde(rename = "skipverify")]
    pub skip_verify: bool,
    /// Transfer acceleration. Default: false.
    pub accelerate: bool,
    /// Endpoints that speak IPv6 too. Default: false.
    #[serde(rename = "usedualstack")]
    pub dual_stack: bool,
    /// FIPS endpoints. Default: false.
    #[serde(rename = "usefipsendpoint")]
    pub fips: bool,
    /// Added to `User-Agent`.
    #[serde(rename = "useragent", skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Whether deletes take conditions. Default: for Amazon's endpoints.
    #[serde(rename = "conditionaldelete", skip_serializing_if = "Option::is_none")]
    pub conditional_delete: Option<bool>,
    /// Whether conditions name ETags without quotes. Default: false.
    #[serde(rename = "bareetags")]
    pub bare_etags: bool,
    /// Whether parts must have one size. Default: false.
    #[serde(rename = "uniformparts")]
    pub uniform_parts: bool,
    /// Whether checksums go along. Default: true.
    pub checksums: bool,
}

/// Keys that were written down.
#[derive(Debug, Clone, Serialize)]
pub struct S3Keys {
    /// The access key.
    #[serde(rename = "accesskey")]
    pub access_key: Secret<String>,
    /// The secret key.
    #[serde(rename = "secretkey")]
    pub secret_key: Secret<String>,
    /// The session token of temporary keys.
    #[serde(rename = "sessiontoken", skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Secret<String>>,
}

impl Written {
    pub(super) fn settle(self, settling: &mut Settling<'_>) -> S3 {
        let keys = match (self.accesskey, self.secretkey) {
            (Some(access_key), Some(secret_key)) => {
                Some(S3Keys { access_key, secret_key, session_token: self.sessiontoken })
            }
            (None, None) if self.sessiontoken.is_some() => {
                settling.refuse(
                    "storage.s3.sessiontoken",
                    "it belongs to `accesskey` and `secretkey`, which are missing",
                );
                None
            }
            (None, None) => None,
            (Some(_), None) => {
                settling.refuse("storage.s3.accesskey", "its `secretkey` is missing");
                None
            }
            (None, Some(_)) => {
                settling.refuse("storage.s3.secretkey", "its `accesskey` is missing");
                None
            }
        };
        if self.keyid.is_some() && !self.encrypt {
            settling
                .refuse("storage.s3.keyid", "nothing is encrypted with it; write `encrypt: true` beside it");
        }
        if self.skipverify {
            settling.warn(
                "storage.s3.skipverify",
                "anybody between the registry and the store can read and change everything",
            );
        }
        if self.redirectendpoint.is_some() && self.accelerate {
            settling.refuse(
                "storage.s3.redirectendpoint",
                "with `accelerate` clients are sent to the accelerated endpoint; keep one",
            );
        }
        S3 {
            force_path_style: self.forcepathstyle.unwrap_or(self.regionendpoint.is_some()),
            bucket: self.bucket,
            region: self.region,
            endpoint: self.regionendpoint,
            redirect_endpoint: self.redirectendpoint,
            keys,
            root_directory: self.rootdirectory,
            part_bytes: self.chunksize,
            encrypt: self.encrypt,
            kms_key: self.keyid,
            storage_class: self.storageclass,
            object_acl: self.objectacl,
            secure: self.secure,
            skip_verify: self.skipverify,
            accelerate: self.accelerate,
            dual_stack: self.usedualstack,
            fips: self.usefipsendpoint,
            user_agent: self.useragent,
            conditional_delete: self.conditionaldelete,
            bare_etags: self.bareetags,
            uniform_parts: self.uniformparts,
            checksums: self.checksums,
        }
    }
}
