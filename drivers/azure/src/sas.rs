//! URLs anybody may read one blob by: service SAS by the account key, or by a user delegation key.
//!
//! Nothing of a signed URL depends on the process that made it but the delegation key, and that is one for
//! all replicas of one identity as far as the service allows; see [`delegation`].

pub(crate) mod delegation;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::time::OffsetDateTime;
use entrepot_storage::{PresignOptions, Result, SignedUrl};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::delegation::{DelegationKey, Delegations};
use crate::shared_key::SharedKey;

/// The version whose rules the signature follows, not that of the request it will be used for. Its fields
/// are stable since 2020-12-06, and emulators know it.
const VERSION: &str = "2022-11-02";

/// All but unreserved characters (RFC 3986, section 2.3).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// What makes signed URLs for one container.
#[derive(Debug)]
pub(crate) struct Signer {
    pub(crate) account: String,
    pub(crate) container: String,
    /// What stands before `/<container>/<blob>` in the URLs clients get, without a slash at its end.
    pub(crate) endpoint: String,
    pub(crate) by: SignedBy,
}

/// Whose signature it is.
#[derive(Debug)]
pub(crate) enum SignedBy {
    Account(Arc<SharedKey>),
    Delegation(Arc<Delegations>),
}

impl Signer {
    /// Signs for the blob `name`. Asks the service for nothing while a valid key is held; `None` where it gave
    /// none a moment ago.
    pub(crate) async fn sign(&self, name: &str, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        match &self.by {
            SignedBy::Account(policy) => Ok(Some(self.by_account(policy, name, options))),
            SignedBy::Delegation(delegations) => {
                let key = delegations.key(options.signed_at).await?;
                Ok(key.map(|key| self.by_delegation(&key, name, options)))
            }
        }
    }

    fn by_account(&self, policy: &SharedKey, name: &str, options: &PresignOptions) -> SignedUrl {
        let expires_at = whole_seconds(options.signed_at + options.expires_in);
        let (expiry, resource) = (instant(expires_at), self.resource(name));
        let content_type = options.content_type.as_deref().unwrap_or_default();
        let protocol = self.protocol();
        // Fields: permissions, start, expiry, resource, policy, addresses, protocol, version, kind,
        // snapshot, encryption scope, then the answer's headers, its type last.
        let text =
            format!("r\n\n{expiry}\n{resource}\n\n\n{protocol}\n{VERSION}\nb\n\n\n\n\n\n\n{content_type}");
        let url = self.url(name, &expiry, &[], content_type, &policy.key.sign(&text));
        SignedUrl { url, expires_at }
    }

    fn by_delegation(&self, key: &DelegationKey, name: &str, options: &PresignOptions) -> SignedUrl {
        let expires_at = whole_seconds(options.signed_at + options.expires_in).min(key.expires_at);
        let expiry = instant(expires_at);
        let text = self.text_for_delegation(key, name, &expiry, options);
        let fields = [
            ("skoid", key.object_id.as_str()),
            ("sktid", &key.tenant_id),
            ("skt", &key.start),
            ("ske", &key.expiry),
            ("sks", &key.service),
            ("skv", &key.version),
        ];
        let content_type = options.content_type.as_deref().unwrap_or_default();
        let url = self.url(name, &expiry, &fields, content_type, &key.signing.sign(&text));
        SignedUrl { url, expires_at }
    }

    fn text_for_delegation(
        &self,
        key: &DelegationKey,
        name: &str,
        expiry: &str,
        options: &PresignOptions,
    ) -> String {
        let DelegationKey { object_id, tenant_id, start, expiry: key_expiry, service, version, .. } = key;
        let (resource, protocol) = (self.resource(name), self.protocol());
        let content_type = options.content_type.as_deref().unwrap_or_default();
        // As above with the key in place of the policy, and after it three fields about whom it is used
        // for: an authorised and an unauthorised object id, and an id to find it again in Azure's logs.
        format!(
            "r\n\n{expiry}\n{resource}\n{object_id}\n{tenant_id}\n{start}\n{key_expiry}\n{service}\n{version}\n\
             \n\n\n\n{protocol}\n{VERSION}\nb\n\n\n\n\n\n\n{content_type}"
        )
    }

    /// The blob as signatures name it: as it is, not as it is written in URLs.
    fn resource(&self, name: &str) -> String {
        format!("/blob/{}/{}/{name}", self.account, self.container)
    }

    /// Only https may be used where we use it ourselves.
    fn protocol(&self) -> &'static str {
        if self.endpoint.starts_with("https:") { "https" } else { "" }
    }

    fn url(
        &self,
        name: &str,
        expiry: &str,
        key: &[(&str, &str)],
        content_type: &str,
        signature: &str,
    ) -> String {
        let mut url = format!("{}/{}/", self.endpoint, self.container);
        url.extend(utf8_percent_encode(name, PATH));
        let fields = [("sv", VERSION), ("se", expiry), ("sr", "b"), ("sp", "r"), ("spr", self.protocol())];
        let last = [("rsct", content_type), ("sig", signature)];
        let all = fields.iter().chain(key).chain(&last).filter(|(_, value)| !value.is_empty());
        for (place, (field, value)) in all.enumerate() {
            url.push(if place == 0 { '?' } else { '&' });
            url.push_str(field);
            url.push('=');
            url.extend(utf8_percent_encode(value, QUERY));
        }
        url
    }
}

/// Signatures know no fractions, and a URL may not outlive what was asked.
fn whole_seconds(at: SystemTime) -> SystemTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// As signatures write it: `2026-11-21T10:00:00Z`.
pub(crate) fn instant(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", at.hour(), at.minute(), at.second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared_key::SigningKey;

    fn signer(endpoint: &str) -> Signer {
        let policy = SharedKey { account: "example".into(), key: SigningKey::new(b"key").unwrap() };
        Signer {
            account: "example".into(),
            container: "images".into(),
            endpoint: endpoint.into(),
            by: SignedBy::Account(policy.into()),
        }
    }

    fn options() -> PresignOptions {
        PresignOptions {
            signed_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_900),
            expires_in: Duration::from_millis(600_400),
            content_type: Some("application/x-tar+gzip".into()),
        }
    }

    fn key() -> DelegationKey {
        DelegationKey {
            object_id: "OID".into(),
            tenant_id: "TID".into(),
            start: "2023-11-14T00:00:00Z".into(),
            expiry: "2023-11-17T00:00:00Z".into(),
            service: "b".into(),
            version: "2026-04-06".into(),
            expires_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_179_200),
            signing: SigningKey::new(b"delegated").unwrap(),
        }
    }

    #[test]
    fn the_delegated_signature_covers_the_documented_fields() {
        let text = signer("https://e").text_for_delegation(&key(), "a b", "EXPIRY", &options());

        let fields: Vec<_> = text.split('\n').collect();
        let expected = [
            "r",                        // signedPermissions
            "",                         // signedStart
            "EXPIRY",                   // signedExpiry
            "/blob/example/images/a b", // canonicalizedResource
            "OID",                      // signedKeyObjectId
            "TID",                      // signedKeyTenantId
            "2023-11-14T00:00:00Z",     // signedKeyStart
            "2023-11-17T00:00:00Z",     // signedKeyExpiry
            "b",                        // signedKeyService
            "2026-04-06",               // signedKeyVersion
            "",                         // signedAuthorizedUserObjectId
            "",                         // signedUnauthorizedUserObjectId
            "",                         // signedCorrelationId
            "",                         // signedIP
            "https",                    // signedProtocol
            VERSION,                    // signedVersion
            "b",                        // signedResource
            "",                         // signedSnapshotTime
            "",                         // signedEncryptionScope
            "",                         // rscc
            "",                         // rscd
            "",                         // rsce
            "",                         // rscl
            "application/x-tar+gzip",   // rsct
        ];
        assert_eq!(fields, expected);
    }

    #[tokio::test]
    async fn a_url_is_escaped_cut_to_seconds_and_never_longer_than_asked() {
        let signed =
            signer("https://pull.example.com").sign("data/a+b%.x", &options()).await.unwrap().unwrap();

        let (path, query) = signed.url.split_once('?').unwrap();
        assert_eq!(path, "https://pull.example.com/images/data/a%2Bb%25.x");
        let expected = "sv=2022-11-02&se=2023-11-14T22%3A23%3A21Z&sr=b&sp=r&spr=https\
            &rsct=application%2Fx-tar%2Bgzip&sig=";
        assert!(query.starts_with(expected), "{query}");
        assert!(signed.expires_at <= options().signed_at + options().expires_in);
        assert!(!format!("{signed:?}").contains("sig="));
    }

    #[test]
    fn a_url_does_not_outlive_its_delegation_key() {
        let options = PresignOptions { expires_in: Duration::from_secs(30 * 86_400), ..options() };

        let signed = signer("https://e").by_delegation(&key(), "a", &options);

        assert_eq!(signed.expires_at, key().expires_at);
        assert!(signed.url.contains("&se=2023-11-17T00%3A00%3A00Z"), "{}", signed.url);
        assert!(signed.url.contains("&skoid=OID&sktid=TID&skt=2023-11-14T00%3A00%3A00Z"), "{}", signed.url);
    }
}
