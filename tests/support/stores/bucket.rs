//! A bucket of an S3, as a variable names it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use entrepot_driver_s3 as s3;

use super::section;
use crate::identities::TemporaryKeys;

/// What the variable of an S3 says.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) endpoint: String,
    bucket: String,
    access_key: String,
    secret_key: String,
    pub(super) settings: BTreeMap<String, String>,
}

impl Bucket {
    pub(super) fn parse(url: &str) -> Self {
        Self::read(url).expect("ENTREPOT_TEST_S3 is http://ACCESS:SECRET@HOST/BUCKET")
    }

    fn read(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (credentials, place) = address.rsplit_once('@')?;
        let (access_key, secret_key) = credentials.split_once(':')?;
        let (host, bucket) = place.split_once('/')?;
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Some(Self {
            endpoint: format!("{scheme}://{host}"),
            bucket: bucket.to_owned(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            settings: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    }

    pub(super) fn is(&self, name: &str) -> Option<bool> {
        self.settings.get(name).map(|value| value == "true")
    }

    fn region(&self) -> &str {
        self.settings.get("region").map_or("us-east-1", String::as_str)
    }

    /// The file with the certificate it shows, where no authority knows it.
    pub(super) fn certificate(&self) -> Option<&str> {
        self.settings.get("certificate").map(String::as_str)
    }

    fn has_checksums(&self) -> bool {
        self.settings.get("checksum").is_none_or(|checksum| checksum != "none")
    }

    /// By STS itself, for whoever has the store's keys:
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
    pub(super) async fn temporary_keys(&self) -> TemporaryKeys {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let keys =
            aws_sdk_sts::config::Credentials::new(&self.access_key, &self.secret_key, None, None, "tests");
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
            .endpoint_url(&self.endpoint)
            .region(aws_sdk_sts::config::Region::new(self.region().to_owned()))
            .credentials_provider(keys)
            .http_client(http)
            .build();
        let request = aws_sdk_sts::Client::from_conf(config)
            .assume_role()
            .role_arn("arn:aws:iam::123456789012:role/registry")
            .role_session_name("tests")
            .send();
        let answer = request.await.expect("the store has an STS");
        let keys = answer.credentials.expect("credentials");
        TemporaryKeys {
            access_key: keys.access_key_id,
            secret_key: keys.secret_access_key,
            session_token: keys.session_token,
            life: Duration::from_secs(3600),
        }
    }

    pub(super) fn configuration(&self, with_keys: bool) -> String {
        let place =
            [("bucket", &*self.bucket), ("region", self.region()), ("regionendpoint", &self.endpoint)];
        let keys = [("accesskey", &*self.access_key), ("secretkey", &self.secret_key)];
        let mut text = section("s3", &[&place[..], if with_keys { &keys } else { &[] }].concat());
        let flags = [
            ("forcepathstyle", Some(self.is("path_style").unwrap_or(true))),
            ("conditionaldelete", self.is("conditional_delete")),
            ("bareetags", self.is("bare_etags")),
            ("uniformparts", self.is("uniform_parts")),
            ("checksums", Some(self.has_checksums())),
            ("encrypt", self.settings.contains_key("kms").then_some(true)),
        ];
        for (key, value) in flags {
            if let Some(value) = value {
                writeln!(text, "    {key}: {value}").expect("a string takes text");
            }
        }
        if let Some(key) = self.settings.get("kms") {
            writeln!(text, "    keyid: {key}").expect("a string takes text");
        }
        text
    }

    pub(super) fn settings(&self, root: &str) -> s3::Config {
        let keys = s3::StaticCredentials::new(&self.access_key, &self.secret_key, None);
        s3::Config {
            endpoint: Some(self.endpoint.clone()),
            force_path_style: self.is("path_style").unwrap_or(true),
            credentials: s3::CredentialSource::Static(keys),
            conditional_delete: self.is("conditional_delete"),
            bare_etags: self.is("bare_etags").unwrap_or(false),
            uniform_parts: self.is("uniform_parts").unwrap_or(false),
            checksum: if self.has_checksums() { s3::Checksum::Crc32c } else { s3::Checksum::None },
            root_directory: root.to_owned(),
            encryption: self.settings.get("kms").map_or(s3::Encryption::BucketDefault, |key| {
                s3::Encryption::Kms { key_id: Some(key.clone()) }
            }),
            skip_verify: self.certificate().is_some(),
            ..s3::Config::new(&self.bucket, self.region())
        }
    }
}
