//! What the operator decides. The keys of the configuration file and their defaults are on the crate's page.

use std::fmt;
use std::time::Duration;

use entrepot_storage::decorate::Timeouts;

/// The smallest part S3 takes, the last one excepted.
pub(crate) const MIN_PART_BYTES: u64 = 5 << 20;
/// The largest part S3 takes.
pub(crate) const MAX_PART_BYTES: u64 = 5 << 30;

/// Which bucket, how to reach it, and what to write there. Everything is parsed; nothing is read from the
/// environment but by the default chain of credentials.
#[derive(Clone, Debug)]
pub struct Config {
    /// The bucket.
    pub bucket: String,
    /// The region that is signed. Stores without regions take any; `us-east-1` is usual.
    pub region: String,
    /// The endpoint where it is not AWS's own, with or without a scheme.
    pub endpoint: Option<String>,
    /// The endpoint presigned URLs are made for, where clients reach the store by another name.
    pub redirect_endpoint: Option<String>,
    /// The bucket is the first segment of the path instead of a part of the host.
    pub force_path_style: bool,
    /// S3 Transfer Acceleration.
    pub accelerate: bool,
    /// The endpoint that speaks IPv6 too.
    pub dual_stack: bool,
    /// The FIPS endpoint.
    pub fips: bool,
    /// Where below the bucket everything lies; empty for the bucket's top. Slashes at its ends mean nothing.
    pub root_directory: String,
    /// Bytes of a part; 5 MiB to 5 GiB.
    pub part_bytes: u64,
    /// How many parts of one upload may be in flight at once; at least 1.
    pub parallel_parts: usize,
    /// How the store encrypts what is written.
    pub encryption: Encryption,
    /// The storage class of what is 128 KiB or larger. Smaller objects are records, which are read and
    /// rewritten often, and the cheaper classes bill a small object as if it had 128 KiB.
    pub storage_class: Option<String>,
    /// A canned ACL for everything that is written.
    pub object_acl: Option<String>,
    /// What stands before the SDK's own words in `User-Agent`.
    pub user_agent: Option<String>,
    /// Takes any certificate. For trying out only: whoever sits between may then read and change everything.
    pub skip_verify: bool,
    /// Whether an endpoint without a scheme, AWS's own included, is spoken to by TLS.
    pub secure: bool,
    /// Who we are.
    pub credentials: CredentialSource,
    /// Which checksum goes with each part and object.
    pub checksum: Checksum,
    /// Whether the store honours conditions on a put; `None` assumes so. Garage does not.
    pub conditional_put: Option<bool>,
    /// Whether it honours conditions on a delete; `None` assumes so of AWS itself only.
    pub conditional_delete: Option<bool>,
    /// Conditions name an ETag without its quotes. HTTP wants them, and Ceph and DigitalOcean Spaces take a
    /// quoted one for another version.
    pub bare_etags: bool,
    /// All parts but the last must have one size (R2).
    pub uniform_parts: bool,
    /// How long one attempt of each kind of call may take.
    pub timeouts: Timeouts,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// Attempts the SDK makes of each call. 1: the decorator around the driver asks again, within a budget
    /// it keeps for all calls; two layers that retry would multiply.
    pub attempts: u32,
}

impl Config {
    /// The defaults for a bucket of AWS.
    pub fn new(bucket: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            region: region.into(),
            endpoint: None,
            redirect_endpoint: None,
            force_path_style: false,
            accelerate: false,
            dual_stack: false,
            fips: false,
            root_directory: String::new(),
            part_bytes: 16 << 20,
            parallel_parts: 4,
            encryption: Encryption::BucketDefault,
            storage_class: None,
            object_acl: None,
            user_agent: None,
            skip_verify: false,
            secure: true,
            credentials: CredentialSource::Chain,
            checksum: Checksum::Crc32c,
            conditional_put: None,
            conditional_delete: None,
            bare_etags: false,
            uniform_parts: false,
            timeouts: Timeouts::default(),
            connect_timeout: Duration::from_secs(5),
            attempts: 1,
        }
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let refuse = |setting, reason| Err(OpenError::Invalid { setting, reason });
        if self.bucket.is_empty() {
            return refuse("bucket", "it is empty".to_owned());
        }
        if self.region.is_empty() {
            return refuse("region", "it is empty; a store without regions takes us-east-1".to_owned());
        }
        if !(MIN_PART_BYTES..=MAX_PART_BYTES).contains(&self.part_bytes) {
            return refuse("chunksize", format!("{} is not between 5 MiB and 5 GiB", self.part_bytes));
        }
        if self.parallel_parts == 0 || self.attempts == 0 {
            return refuse("parallel parts or attempts", "0 would do nothing at all".to_owned());
        }
        // An archived object has to be restored before it can be read, which takes hours.
        if let Some(class @ ("GLACIER" | "DEEP_ARCHIVE")) = self.storage_class.as_deref() {
            return refuse("storageclass", format!("{class} cannot be read without restoring"));
        }
        if !self.root().bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return refuse("rootdirectory", "only printable ASCII without space is allowed".to_owned());
        }
        Ok(())
    }

    /// The root directory without slashes at its ends.
    pub(crate) fn root(&self) -> &str {
        self.root_directory.trim_matches('/')
    }
}

/// How the store encrypts what is written. Keys that clients would have to send along (SSE-C) are not
/// offered: no presigned URL could carry them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket says.
    #[default]
    BucketDefault,
    /// With the store's own keys (SSE-S3).
    Aes256,
    /// With a key of KMS.
    Kms {
        /// Which one; the account's default key without.
        key_id: Option<String>,
    },
}

/// The checksum that goes with each part and object, which the store compares before it acknowledges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// CRC32C.
    #[default]
    Crc32c,
    /// None, for a store that does not know checksum headers.
    None,
}

/// Where credentials come from.
#[derive(Clone, Debug)]
pub enum CredentialSource {
    /// Given once and for all.
    Static(StaticCredentials),
    /// The SDK's chain: environment, profile, web identity (IRSA), container endpoint (ECS, EKS Pod
    /// Identity), instance metadata (IMDSv2). Fetched at first use, renewed before they expire.
    Chain,
}

/// An access key and its secret. `Debug` shows neither the secret nor the token.
#[derive(Clone)]
pub struct StaticCredentials {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) session_token: Option<String>,
}

impl StaticCredentials {
    /// The three as the store gave them.
    pub fn new(
        access_key: impl Into<String>,
        secret_key: impl Into<String>,
        session_token: Option<String>,
    ) -> Self {
        Self { access_key: access_key.into(), secret_key: secret_key.into(), session_token }
    }
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticCredentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Settings that no driver can be made of.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting has a value that cannot be meant.
    #[error("s3: {setting}: {reason}")]
    Invalid {
        /// Which one, by its key.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Bucket, region and endpoint settings do not go together.
    #[error("s3: no endpoint for these settings: {0}")]
    Endpoint(String),
    /// TLS cannot be set up.
    #[error("s3: TLS: {0}")]
    Tls(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_in_no_debug_output() {
        let mut config = Config::new("bucket", "us-east-1");
        let secret = StaticCredentials::new("AKID", "very-secret", Some("token-secret".into()));
        config.credentials = CredentialSource::Static(secret);

        let text = format!("{config:?}");

        assert!(text.contains("AKID") && !text.contains("secret\"") && !text.contains("very"), "{text}");
        assert!(!text.contains("token-secret"), "{text}");
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let broken: [fn(&mut Config); 6] = [
            |config| config.bucket.clear(),
            |config| config.region.clear(),
            |config| config.part_bytes = MIN_PART_BYTES - 1,
            |config| config.part_bytes = MAX_PART_BYTES + 1,
            |config| config.storage_class = Some("GLACIER".into()),
            |config| config.root_directory = "a b".into(),
        ];

        for (index, breaks) in broken.iter().enumerate() {
            let mut config = Config::new("bucket", "us-east-1");
            assert!(config.check().is_ok());
            breaks(&mut config);
            assert!(config.check().is_err(), "case {index}");
        }
    }
}
