//! `storage.gcs`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;
use crate::config::settle::Settling;
use crate::config::size;

/// `storage.gcs` as it was written, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    bucket: String,
    keyfile: Option<PathBuf>,
    credentials: GcsKey,
    hmacaccessid: Option<String>,
    hmacsecret: Option<Secret<String>>,
    signingaccount: Option<String>,
    kmskeyname: Option<String>,
    endpoint: Option<String>,
    anonymous: bool,
    redirectendpoint: Option<String>,
    redirectbucketbound: bool,
    rootdirectory: String,
    #[serde(deserialize_with = "size::deserialize")]
    chunksize: u64,
    maxconcurrency: usize,
    useragent: Option<String>,
}

/// A bucket of Google Cloud Storage. Sizes are in bytes.
#[derive(Debug, Clone, Serialize)]
pub struct Gcs {
    /// The bucket.
    pub bucket: String,
    /// Who we are.
    #[serde(flatten)]
    pub access: GcsAccess,
    /// What signs redirected pulls instead.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<GcsHmac>,
    /// In whose name IAM signs.
    #[serde(rename = "signingaccount", skip_serializing_if = "Option::is_none")]
    pub signing_account: Option<String>,
    /// What new objects are encrypted with.
    #[serde(rename = "kmskeyname", skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// The endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The address clients are redirected to.
    #[serde(rename = "redirectendpoint", skip_serializing_if = "Option::is_none")]
    pub redirect_endpoint: Option<String>,
    /// Whether that address stands for the bucket. Default: no.
    #[serde(rename = "redirectbucketbound")]
    pub redirect_bucket_bound: bool,
    /// The prefix of all object names. Default: none.
    #[serde(rename = "rootdirectory")]
    pub root_directory: String,
    /// Size of a part. Default: 16 MiB.
    #[serde(rename = "chunksize", serialize_with = "size::serialize")]
    pub part_bytes: u64,
    /// The most deletes at once. Default: 50.
    #[serde(rename = "maxconcurrency")]
    pub max_concurrency: usize,
    /// Added to `User-Agent`.
    #[serde(rename = "useragent", skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// Who we are to Google.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum GcsAccess {
    /// A service account's key in a file.
    KeyFile {
        /// The file.
        #[serde(rename = "keyfile")]
        path: PathBuf,
    },
    /// A service account's key, written out.
    Key {
        /// Its fields.
        credentials: Box<GcsKey>,
    },
    /// What the surroundings offer.
    ApplicationDefault {},
    /// Nobody.
    Anonymous {
        /// Always true.
        anonymous: bool,
    },
}

/// The fields of a service account's key file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GcsKey {
    /// `service_account`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The name of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key_id: Option<String>,
    /// The key in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Secret<String>>,
    /// The service account's email.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_email: Option<String>,
    /// The service account's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Where users authorize.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_uri: Option<String>,
    /// Where tokens come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_uri: Option<String>,
    /// Certificates of the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_provider_x509_cert_url: Option<String>,
    /// Certificates of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_x509_cert_url: Option<String>,
}

/// An HMAC key of a service account.
#[derive(Debug, Clone, Serialize)]
pub struct GcsHmac {
    /// The access id.
    #[serde(rename = "hmacaccessid")]
    pub access_id: String,
    /// Its secret.
    #[serde(rename = "hmacsecret")]
    pub secret: Secret<String>,
}

impl GcsKey {
    /// The key as the file that Google hands out has it. Holds the private key: nothing to print.
    pub fn document(&self) -> Secret<String> {
        let plain = serde_json::json!({
            "type": self.kind.as_deref().unwrap_or("service_account"),
            "project_id": self.project_id,
            "private_key_id": self.private_key_id,
            "private_key": self.private_key.as_ref().map(|key| key.expose()),
            "client_email": self.client_email,
            "client_id": self.client_id,
            "auth_uri": self.auth_uri,
            "token_uri": self.token_uri,
            "auth_provider_x509_cert_url": self.auth_provider_x509_cert_url,
            "client_x509_cert_url": self.client_x509_cert_url,
            "universe_domain": "googleapis.com",
        });
        Secret::new(plain.to_string())
    }

    fn is_empty(&self) -> bool {
        let texts = [
            &self.kind,
            &self.project_id,
            &self.private_key_id,
            &self.client_email,
            &self.client_id,
            &self.auth_uri,
            &self.token_uri,
            &self.auth_provider_x509_cert_url,
            &self.client_x509_cert_url,
        ];
        self.private_key.is_none() && texts.iter().all(|text| text.is_none())
    }
}

impl Written {
    pub(super) fn settle(self, settling: &mut Settling<'_>) -> Gcs {
        let written = [self.keyfile.is_some(), !self.credentials.is_empty(), self.anonymous];
        if written.into_iter().filter(|&one| one).count() > 1 {
            settling.refuse(
                "storage.gcs",
                "only one of keyfile, credentials and anonymous can be used; keep one",
            );
        }
        let given = &self.credentials;
        let needed = [&given.client_email, &given.private_key_id, &given.project_id];
        if !given.is_empty() && (given.private_key.is_none() || needed.iter().any(|text| text.is_none())) {
            settling.refuse(
                "storage.gcs.credentials",
                "of a service account's key `private_key`, `private_key_id`, `client_email` and `project_id` are \
                 needed",
            );
        }
        if self.redirectbucketbound && self.redirectendpoint.is_none() {
            settling.refuse(
                "storage.gcs.redirectbucketbound",
                "`redirectendpoint` has to name the host that stands for the bucket",
            );
        }
        let hmac = match (self.hmacaccessid, self.hmacsecret) {
            (Some(access_id), Some(secret)) => Some(GcsHmac { access_id, secret }),
            (None, None) => None,
            (Some(_), None) => {
                settling.refuse("storage.gcs.hmacaccessid", "its `hmacsecret` is missing");
                None
            }
            (None, Some(_)) => {
                settling.refuse("storage.gcs.hmacsecret", "its `hmacaccessid` is missing");
                None
            }
        };
        let access = match (self.keyfile, self.anonymous) {
            (Some(path), _) => GcsAccess::KeyFile { path },
            (None, true) => GcsAccess::Anonymous { anonymous: true },
            (None, false) if self.credentials.is_empty() => GcsAccess::ApplicationDefault {},
            (None, false) => GcsAccess::Key { credentials: Box::new(self.credentials) },
        };
        Gcs {
            bucket: self.bucket,
            access,
            hmac,
            signing_account: self.signingaccount,
            kms_key: self.kmskeyname,
            endpoint: self.endpoint,
            redirect_endpoint: self.redirectendpoint,
            redirect_bucket_bound: self.redirectbucketbound,
            root_directory: self.rootdirectory,
            part_bytes: self.chunksize,
            max_concurrency: self.maxconcurrency,
            user_agent: self.useragent,
        }
    }
}
