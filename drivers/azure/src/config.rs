//! What the driver is told: distribution's keys of `storage.azure`, and connection strings.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::OpenError;

/// Where the public cloud keeps its blobs.
pub const DEFAULT_REALM: &str = "core.windows.net";
/// The name and key every Azurite has: published by Microsoft, no secret.
const EMULATOR_ACCOUNT: &str = "devstoreaccount1";
const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const EMULATOR_ENDPOINT: &str = "http://127.0.0.1:10000/devstoreaccount1";

const MIB: u64 = 1024 * 1024;
/// The largest block of API versions since 2019-12-12, in bytes.
pub(crate) const MAX_BLOCK_BYTES: u64 = 4000 * MIB;

/// A text nobody should read: neither `Debug` nor anything else prints it, and it is wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Everything the driver can be told. See the crate's page for the keys of the configuration file.
#[derive(Clone, Debug)]
pub struct Config {
    /// The storage account. May be empty with a connection string, which names it.
    pub account_name: String,
    /// The container, which must exist.
    pub container: String,
    /// Who we are.
    pub credentials: Credentials,
    /// Where the account answers: `https://example.blob.core.windows.net`. Made from the account and the
    /// realm where it is not given.
    pub service_url: Option<String>,
    /// The cloud's domain; [`DEFAULT_REALM`] where it is not given. It also decides who issues tokens.
    pub realm: Option<String>,
    /// A directory in the container under which everything is kept. Empty for all of it.
    pub root_directory: String,
    /// Accepts any certificate of the storage account. The issuer of tokens is verified all the same.
    pub skip_verify: bool,
    /// The host clients are sent to, in place of the account's own: Front Door, a CDN, a private endpoint.
    /// An absolute URL below which `/<container>/<blob>` is found.
    pub redirect_endpoint: Option<String>,
    /// Who issues tokens, in place of the realm's own: `https://login.microsoftonline.com`.
    pub authority_host: Option<String>,
    /// distribution's limit on polling a copy. Nothing is copied here, so nothing is polled.
    pub max_retries: u32,
    /// distribution's pause between polls of a copy. Unused, as above.
    pub retry_delay: Duration,
    /// The preferred size of a block in bytes; 1 byte to 4000 MiB.
    pub block_size: u64,
    /// How many blocks of one upload may be in flight at once, at least 1.
    pub parallel: usize,
}

impl Config {
    /// The settings that suit most, for one container.
    pub fn new(
        account_name: impl Into<String>,
        container: impl Into<String>,
        credentials: Credentials,
    ) -> Self {
        Self {
            account_name: account_name.into(),
            container: container.into(),
            credentials,
            service_url: None,
            realm: None,
            root_directory: String::new(),
            skip_verify: false,
            redirect_endpoint: None,
            authority_host: None,
            max_retries: 5,
            retry_delay: Duration::from_millis(100),
            block_size: 8 * MIB,
            parallel: 4,
        }
    }
}

/// Who we are to the account.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// One of the account's two keys, in base64 as the portal shows it.
    SharedKey(Secret),
    /// A connection string of the account, as the portal shows it, with an `AccountKey`.
    ConnectionString(Secret),
    /// An application of Entra ID with a secret.
    ClientSecret {
        /// The tenant's id.
        tenant_id: String,
        /// The application's id.
        client_id: String,
        /// The application's secret.
        secret: Secret,
    },
    /// A Kubernetes service account that Entra ID trusts.
    WorkloadIdentity {
        /// The tenant's id.
        tenant_id: String,
        /// The id of the application or of the user-assigned identity.
        client_id: String,
        /// The file the service account's token is in. What was read is used for ten minutes, then it is read
        /// again: Kubernetes replaces it well before it ends.
        token_file: PathBuf,
    },
    /// The identity of the machine, asked for at its metadata service.
    ManagedIdentity {
        /// Which one, where there are several: the client id of a user-assigned identity.
        client_id: Option<String>,
    },
    /// What the surroundings offer: a client secret, else a workload identity, else a managed identity.
    Default(Surroundings),
}

/// The variables Azure's libraries look at, as the caller read them: this crate reads no environment.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `AZURE_TENANT_ID`
    pub tenant_id: Option<String>,
    /// `AZURE_CLIENT_ID`
    pub client_id: Option<String>,
    /// `AZURE_CLIENT_SECRET`
    pub client_secret: Option<Secret>,
    /// `AZURE_FEDERATED_TOKEN_FILE`
    pub token_file: Option<PathBuf>,
}

impl Surroundings {
    /// The credentials these variables stand for.
    pub(crate) fn choose(self) -> Credentials {
        match (self.tenant_id, self.client_id, self.client_secret, self.token_file) {
            (Some(tenant_id), Some(client_id), Some(secret), _) => {
                Credentials::ClientSecret { tenant_id, client_id, secret }
            }
            (Some(tenant_id), Some(client_id), None, Some(token_file)) => {
                Credentials::WorkloadIdentity { tenant_id, client_id, token_file }
            }
            (_, client_id, _, _) => Credentials::ManagedIdentity { client_id },
        }
    }
}

/// What a connection string says about blobs.
#[derive(Debug)]
pub(crate) struct ConnectionString {
    pub(crate) account_name: String,
    pub(crate) account_key: Secret,
    pub(crate) blob_endpoint: String,
}

/// Fields that concern other services, or copies of the account.
const ELSEWHERE: [&str; 7] = [
    "QueueEndpoint",
    "TableEndpoint",
    "FileEndpoint",
    "BlobSecondaryEndpoint",
    "QueueSecondaryEndpoint",
    "TableSecondaryEndpoint",
    "FileSecondaryEndpoint",
];

impl ConnectionString {
    /// Fails with the name of the field that is missing, unknown or wrong, and never with a value.
    pub(crate) fn parse(text: &Secret) -> Result<Self, OpenError> {
        let refuse =
            |field: &str, what: &str| Err(OpenError::new(format!("connectionstring: {field} {what}")));
        let (mut name, mut key, mut endpoint) = (None, None, None);
        let (mut suffix, mut protocol) = (DEFAULT_REALM, "https");
        for field in text.reveal().split(';').map(str::trim).filter(|field| !field.is_empty()) {
            let Some((field, value)) = field.split_once('=') else {
                return refuse("a field", "has no '='");
            };
            match field {
                "AccountName" => name = Some(value),
                "AccountKey" => key = Some(value),
                "BlobEndpoint" => endpoint = Some(value.trim_end_matches('/')),
                "EndpointSuffix" => suffix = value,
                "DefaultEndpointsProtocol" if ["http", "https"].contains(&value) => protocol = value,
                "DefaultEndpointsProtocol" => return refuse(field, "is neither http nor https"),
                "UseDevelopmentStorage" if value == "true" => {
                    (name, key, endpoint) =
                        (Some(EMULATOR_ACCOUNT), Some(EMULATOR_KEY), Some(EMULATOR_ENDPOINT));
                }
                "SharedAccessSignature" => {
                    return refuse(field, "is not supported, it cannot sign URLs; give an AccountKey");
                }
                other if ELSEWHERE.contains(&other) => {}
                other => return refuse(&printable(other), "is unknown"),
            }
        }
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return refuse("AccountName", "is missing");
        };
        let Some(key) = key.filter(|key| !key.is_empty()) else { return refuse("AccountKey", "is missing") };
        let standard = format!("{protocol}://{name}.blob.{suffix}");
        Ok(Self {
            account_name: name.to_owned(),
            account_key: key.into(),
            blob_endpoint: endpoint.map_or(standard, str::to_owned),
        })
    }
}

/// A field's name as far as it can be one: a key pasted without its name must not be repeated.
fn printable(field: &str) -> String {
    let is_name = field.len() <= 32 && field.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_name { field.to_owned() } else { "a field".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConnectionString, String> {
        ConnectionString::parse(&text.into()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_portals_string_names_account_key_and_endpoint() {
        let text = "DefaultEndpointsProtocol=https;AccountName=example;AccountKey=a2V5PT0=;EndpointSuffix=core.chinacloudapi.cn";

        let parsed = parse(text).unwrap();

        assert_eq!(parsed.account_name, "example");
        assert_eq!(parsed.account_key.reveal(), "a2V5PT0=");
        assert_eq!(parsed.blob_endpoint, "https://example.blob.core.chinacloudapi.cn");
    }

    #[test]
    fn an_endpoint_of_its_own_wins_over_the_suffix() {
        let text =
            "AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:10000/a/;QueueEndpoint=http://x;";

        assert_eq!(parse(text).unwrap().blob_endpoint, "http://127.0.0.1:10000/a");
    }

    #[test]
    fn the_emulators_short_form_is_understood() {
        assert_eq!(parse("UseDevelopmentStorage=true").unwrap().account_name, "devstoreaccount1");
    }

    #[test]
    fn a_wrong_field_is_named_and_no_value_is_repeated() {
        for (text, expected) in [
            ("AccountKey=a2V5", "AccountName is missing"),
            ("AccountName=a", "AccountKey is missing"),
            ("AccountName=a;AccountKey=", "AccountKey is missing"),
            ("AccountName=a;AccountKey=hidden;Colour=red", "Colour is unknown"),
            ("AccountName=a;DefaultEndpointsProtocol=hidden", "DefaultEndpointsProtocol is neither"),
            ("AccountName=a;SharedAccessSignature=sv=hidden", "SharedAccessSignature is not supported"),
            ("AccountName=a;hidden", "a field has no '='"),
            ("AccountName=a;hidden+/1==", "a field is unknown"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = Config::new("a", "c", Credentials::SharedKey("hidden".into()));

        assert!(!format!("{config:?}").contains("hidden"));
    }

    #[test]
    fn the_surroundings_decide_for_a_secret_then_a_token_file_then_the_machine() {
        let all = Surroundings {
            tenant_id: Some("t".into()),
            client_id: Some("c".into()),
            client_secret: Some("s".into()),
            token_file: Some("/token".into()),
        };
        let no_secret = Surroundings { client_secret: None, ..all.clone() };
        let no_tenant = Surroundings { tenant_id: None, ..no_secret.clone() };

        assert!(matches!(all.choose(), Credentials::ClientSecret { .. }));
        assert!(matches!(no_secret.choose(), Credentials::WorkloadIdentity { .. }));
        let chosen = no_tenant.choose();
        assert!(matches!(chosen, Credentials::ManagedIdentity { client_id: Some(id) } if id == "c"));
    }
}
