//! From configured credentials to what signs requests: the account key, or tokens of Entra ID.

use std::sync::Arc;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret as CoreSecret, TokenCredential};
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions};
use azure_core::time::Duration;
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};

use crate::OpenError;
use crate::client::{Verification, transport};
use crate::config::{Config, ConnectionString, Credentials, DEFAULT_REALM, Secret};
use crate::shared_key::{SharedKey, SigningKey};

/// What signs our requests.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    SharedKey(Arc<SharedKey>),
    Token(Arc<dyn TokenCredential>),
}

/// The account we speak to, and as whom.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) service_url: String,
    pub(crate) identity: Identity,
}

impl Account {
    pub(crate) fn of(config: &Config) -> Result<Self, OpenError> {
        match &config.credentials {
            Credentials::ConnectionString(text) => Self::connected(config, &ConnectionString::parse(text)?),
            Credentials::SharedKey(key) => {
                let name = config.account_name.clone();
                Self::named(config, shared_key(name, key)?)
            }
            others => Self::named(config, Identity::Token(token(config, others.clone())?)),
        }
    }

    /// The account of the configuration, as somebody.
    pub(crate) fn named(config: &Config, identity: Identity) -> Result<Self, OpenError> {
        let name = config.account_name.clone();
        if name.is_empty() {
            return Err(OpenError::new("accountname: missing"));
        }
        let realm = config.realm.as_deref().unwrap_or(DEFAULT_REALM);
        let standard = || format!("https://{name}.blob.{realm}");
        let service_url = config.service_url.clone().unwrap_or_else(standard);
        Ok(Self { name, service_url, identity })
    }

    fn connected(config: &Config, parsed: &ConnectionString) -> Result<Self, OpenError> {
        let name = parsed.account_name.clone();
        if !config.account_name.is_empty() && config.account_name != name {
            return Err(OpenError::new("connectionstring: AccountName is another than accountname"));
        }
        let identity = shared_key(name.clone(), &parsed.account_key)?;
        let service_url = config.service_url.clone().unwrap_or_else(|| parsed.blob_endpoint.clone());
        Ok(Self { name, service_url, identity })
    }
}

fn shared_key(account: String, key: &Secret) -> Result<Identity, OpenError> {
    let key = SigningKey::from_base64(key)?;
    Ok(Identity::SharedKey(Arc::new(SharedKey { account, key })))
}

fn token(config: &Config, credentials: Credentials) -> Result<Arc<dyn TokenCredential>, OpenError> {
    let unusable = |error: azure_core::Error| OpenError::new(format!("credentials: {error}"));
    let client_options = options(config)?;
    match credentials {
        Credentials::ClientSecret { tenant_id, client_id, secret } => {
            let secret = CoreSecret::new(secret.reveal().to_owned());
            let options = ClientSecretCredentialOptions { client_options };
            let made = ClientSecretCredential::new(&tenant_id, client_id, secret, Some(options));
            Ok(made.map_err(unusable)?)
        }
        Credentials::WorkloadIdentity { tenant_id, client_id, token_file } => {
            let options = WorkloadIdentityCredentialOptions {
                credential_options: ClientAssertionCredentialOptions { client_options },
                client_id: Some(client_id),
                tenant_id: Some(tenant_id),
                token_file_path: Some(token_file),
            };
            Ok(WorkloadIdentityCredential::new(Some(options)).map_err(unusable)?)
        }
        Credentials::ManagedIdentity { client_id } => {
            let user_assigned_id = client_id.map(UserAssignedId::ClientId);
            let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
            Ok(ManagedIdentityCredential::new(Some(options)).map_err(unusable)?)
        }
        Credentials::Default(surroundings) => token(config, surroundings.choose()),
        Credentials::SharedKey(_) | Credentials::ConnectionString(_) => {
            Err(OpenError::new("credentials: a key is no token"))
        }
    }
}

/// How the issuer of tokens is reached. Its certificate is verified whatever `skipverify` says, and a token
/// that is late delays every request, so a lost one is asked for again here.
fn options(config: &Config) -> Result<ClientOptions, OpenError> {
    let retry = ExponentialRetryOptions {
        max_retries: 3,
        max_total_elapsed: Duration::seconds(15),
        ..ExponentialRetryOptions::default()
    };
    Ok(ClientOptions {
        retry: RetryOptions::exponential(retry),
        transport: Some(transport(Verification::Full)?),
        cloud: Some(Arc::new(cloud(config))),
        ..ClientOptions::default()
    })
}

fn cloud(config: &Config) -> CloudConfiguration {
    if let Some(host) = &config.authority_host {
        let mut custom = CustomConfiguration::default();
        custom.authority_host.clone_from(host);
        return CloudConfiguration::Custom(custom);
    }
    match config.realm.as_deref().unwrap_or(DEFAULT_REALM) {
        "core.chinacloudapi.cn" => CloudConfiguration::AzureChina,
        "core.usgovcloudapi.net" => CloudConfiguration::AzureGovernment,
        _ => CloudConfiguration::AzurePublic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(credentials: Credentials) -> Config {
        Config::new("example", "images", credentials)
    }

    #[test]
    fn the_service_url_is_made_of_account_and_realm() {
        let config = Config {
            realm: Some("core.usgovcloudapi.net".into()),
            ..config(Credentials::SharedKey("a2V5".into()))
        };

        let account = Account::of(&config).unwrap();

        assert_eq!(account.service_url, "https://example.blob.core.usgovcloudapi.net");
        assert_eq!(cloud(&config), CloudConfiguration::AzureGovernment);
    }

    #[test]
    fn a_connection_string_for_another_account_is_refused() {
        let text = "AccountName=other;AccountKey=a2V5";

        let error = Account::of(&config(Credentials::ConnectionString(text.into()))).unwrap_err();

        assert!(error.to_string().contains("accountname"), "{error}");
    }

    #[test]
    fn an_account_without_a_name_is_refused() {
        let config = Config { account_name: String::new(), ..config(Credentials::SharedKey("a2V5".into())) };

        assert!(Account::of(&config).unwrap_err().to_string().contains("accountname"));
    }

    #[test]
    fn every_kind_of_token_can_be_set_up_without_asking_anybody() {
        let (tenant_id, client_id) = ("11111111-1111-1111-1111-111111111111", "app");
        let file = tempfile::NamedTempFile::new().unwrap();
        let kinds = [
            Credentials::ClientSecret {
                tenant_id: tenant_id.into(),
                client_id: client_id.into(),
                secret: "hidden".into(),
            },
            Credentials::WorkloadIdentity {
                tenant_id: tenant_id.into(),
                client_id: client_id.into(),
                token_file: file.path().into(),
            },
            Credentials::ManagedIdentity { client_id: None },
            Credentials::Default(crate::Surroundings::default()),
        ];
        for credentials in kinds {
            let account = Account::of(&config(credentials)).unwrap();

            assert!(matches!(account.identity, Identity::Token(_)));
            assert!(!format!("{account:?}").contains("hidden"));
        }
    }
}
