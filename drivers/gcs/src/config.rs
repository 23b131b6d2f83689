//! What the operator decides. The keys of the configuration file and their defaults are on the crate's page.

use std::fmt;
use std::path::PathBuf;

use entrepot_storage::decorate::Timeouts;
use zeroize::Zeroizing;

/// The smallest part Google's XML multipart takes, the last one excepted.
/// <https://cloud.google.com/storage/quotas#requests>
pub(crate) const MIN_PART_BYTES: u64 = 5 << 20;
/// The largest part.
pub(crate) const MAX_PART_BYTES: u64 = 5 << 30;
/// The most parts of one upload.
pub(crate) const MAX_PARTS: u32 = 10_000;
/// Google's own endpoint.
pub(crate) const PUBLIC_ENDPOINT: &str = "https://storage.googleapis.com";

/// A text no log may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Hides `text` from `Debug`, and from memory once it is dropped.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Who we are to Google.
#[derive(Clone, Debug, Default)]
pub enum CredentialSource {
    /// Application Default Credentials: the file `GOOGLE_APPLICATION_CREDENTIALS` names, the well-known
    /// file of `gcloud`, else the metadata server. Workload identity comes by these too.
    #[default]
    ApplicationDefault,
    /// A JSON file: a service account's key, a workload identity federation, an impersonation.
    KeyFile(PathBuf),
    /// The content of such a file.
    Key(Secret),
    /// Nobody. For emulators.
    Anonymous,
}

/// An HMAC key of a service account. It signs URLs in microseconds and without any request.
#[derive(Clone, Debug)]
pub struct HmacKey {
    /// The access id, `GOOG1E…`.
    pub access_id: String,
    /// Its secret.
    pub secret: Secret,
}

/// Which bucket, how to reach it, and how to sign for it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The bucket.
    pub bucket: String,
    /// Who we are.
    pub credentials: CredentialSource,
    /// Where below the bucket everything lies; empty for the bucket's top. Slashes at its ends mean nothing.
    pub root_directory: String,
    /// Bytes of a part; 5 MiB to 5 GiB.
    pub part_bytes: u64,
    /// How many parts of one upload may be in flight at once; at least 1.
    pub parallel_parts: usize,
    /// How many deletes of one `delete_many` are in flight at once; at least 1.
    pub max_concurrency: usize,
    /// What stands before our own words in `User-Agent`.
    pub user_agent: Option<String>,
    /// The endpoint where it is not Google's own, with its scheme: an emulator, a private endpoint.
    pub endpoint: Option<String>,
    /// The endpoint that signed URLs name, with its scheme, where clients reach the store by another name.
    pub redirect_endpoint: Option<String>,
    /// The redirect endpoint is a host of this one bucket (a CNAME, a load balancer's backend bucket), so
    /// that the path of a signed URL begins with the object's name.
    pub redirect_bucket_bound: bool,
    /// The Cloud KMS key new objects are encrypted with; the bucket's own default without.
    pub kms_key_name: Option<String>,
    /// Signs URLs instead of the service account's key or IAM.
    pub hmac_key: Option<HmacKey>,
    /// The service account that IAM signs URLs for, by its email. Needed where the credentials have no
    /// service account of their own that the client library knows: workload identity federation.
    pub signing_account: Option<String>,
    /// How long one attempt of each kind of call may take.
    pub timeouts: Timeouts,
}

impl Config {
    /// The defaults for a bucket.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            credentials: CredentialSource::default(),
            root_directory: String::new(),
            part_bytes: 16 << 20,
            parallel_parts: 4,
            max_concurrency: 50,
            user_agent: None,
            endpoint: None,
            redirect_endpoint: None,
            redirect_bucket_bound: false,
            kms_key_name: None,
            hmac_key: None,
            signing_account: None,
            timeouts: Timeouts::default(),
        }
    }

    /// The first rule that is broken, as a sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.bucket.is_empty() || !self.bucket.bytes().all(is_bucket_byte) {
            return Err(format!("{:?} is no name of a bucket", self.bucket));
        }
        if !(MIN_PART_BYTES..=MAX_PART_BYTES).contains(&self.part_bytes) {
            return Err("the part size has to lie between 5 MiB and 5 GiB".into());
        }
        if self.parallel_parts == 0 || self.max_concurrency == 0 {
            return Err("at least one request has to be allowed at once".into());
        }
        if self.redirect_bucket_bound && self.redirect_endpoint.is_none() {
            return Err("a host of one bucket has to be named as the redirect endpoint".into());
        }
        let root = self.root_directory.trim_matches('/');
        if !root.is_empty() && root.parse::<entrepot_storage::Key>().is_err() {
            return Err(format!("{root:?} cannot be a root directory"));
        }
        Ok(())
    }
}

fn is_bucket_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_could_not_work_are_refused() {
        let wrong: [fn(&mut Config); 6] = [
            |config| config.bucket = "a/b".into(),
            |config| config.bucket.clear(),
            |config| config.part_bytes = 1,
            |config| config.parallel_parts = 0,
            |config| config.redirect_bucket_bound = true,
            |config| config.root_directory = "a/../b".into(),
        ];
        for change in wrong {
            let mut config = Config::new("images");
            change(&mut config);

            assert!(config.check().is_err(), "{config:?}");
        }
        assert_eq!(Config::new("images").check(), Ok(()));
    }

    #[test]
    fn no_secret_is_shown() {
        let mut config = Config::new("images");
        config.credentials = CredentialSource::Key(Secret::new("the private key"));
        config.hmac_key = Some(HmacKey { access_id: "GOOG1".into(), secret: Secret::new("the hmac secret") });

        let shown = format!("{config:?}");

        assert!(!shown.contains("the private key") && !shown.contains("the hmac secret"), "{shown}");
    }
}
