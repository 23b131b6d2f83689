//! `storage.azure`.

use serde::{Deserialize, Serialize};

use crate::config::secret::Secret;
use crate::config::settle::Settling;
use crate::config::size;

/// `storage.azure` as it was written, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    accountname: Option<String>,
    container: String,
    accountkey: Option<Secret<String>>,
    connectionstring: Option<Secret<String>>,
    realm: String,
    serviceurl: Option<String>,
    redirectendpoint: Option<String>,
    rootdirectory: String,
    #[serde(deserialize_with = "size::deserialize")]
    chunksize: u64,
    credentials: WrittenCredentials,
    skipverify: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCredentials {
    #[serde(rename = "type")]
    kind: Option<Kind>,
    clientid: Option<String>,
    tenantid: Option<String>,
    secret: Option<Secret<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    ClientSecret,
    SharedKey,
    DefaultCredentials,
}

/// A container of Azure Blob Storage. Sizes are in bytes.
#[derive(Debug, Clone, Serialize)]
pub struct Azure {
    /// The storage account; a connection string names it too.
    #[serde(rename = "accountname", skip_serializing_if = "Option::is_none")]
    pub account_name: Option<String>,
    /// The container.
    pub container: String,
    /// Who we are.
    #[serde(flatten)]
    pub access: AzureAccess,
    /// The domain of the cloud. Default: core.windows.net.
    pub realm: String,
    /// The endpoint of the account.
    #[serde(rename = "serviceurl", skip_serializing_if = "Option::is_none")]
    pub service_url: Option<String>,
    /// The address clients are redirected to.
    #[serde(rename = "redirectendpoint", skip_serializing_if = "Option::is_none")]
    pub redirect_endpoint: Option<String>,
    /// The prefix of all blob names. Default: none.
    #[serde(rename = "rootdirectory")]
    pub root_directory: String,
    /// Size of a block. Default: 8 MiB.
    #[serde(rename = "chunksize", serialize_with = "size::serialize")]
    pub block_bytes: u64,
    /// Whether any certificate is taken. Default: false.
    #[serde(rename = "skipverify")]
    pub skip_verify: bool,
}

/// Who we are to the account.
#[derive(Debug, Clone, Serialize)]
pub enum AzureAccess {
    /// A key of the account.
    #[serde(rename = "accountkey")]
    Key(Secret<String>),
    /// Account, key and endpoints in one.
    #[serde(rename = "connectionstring")]
    ConnectionString(Secret<String>),
    /// Something of Entra ID.
    #[serde(rename = "credentials")]
    Credentials(AzureCredentials),
}

/// Something of Entra ID.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AzureCredentials {
    /// An application with a secret.
    ClientSecret {
        /// The application.
        #[serde(rename = "clientid")]
        client_id: String,
        /// Its tenant.
        #[serde(rename = "tenantid")]
        tenant_id: String,
        /// Its secret.
        secret: Secret<String>,
    },
    /// What the surroundings offer.
    DefaultCredentials {
        /// The identity to take, where there are several.
        #[serde(rename = "clientid", skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
    },
}

impl Written {
    pub(super) fn settle(self, settling: &mut Settling<'_>) -> Azure {
        if self.skipverify {
            settling.warn(
                "storage.azure.skipverify",
                "anybody between the registry and the store can read and change everything",
            );
        }
        if self.accountname.is_none() && self.connectionstring.is_none() {
            settling.refuse(
                "storage.azure.accountname",
                "this key is required here, unless a `connectionstring` names the account",
            );
        }
        let access = access(self.accountkey, self.connectionstring, self.credentials, settling);
        Azure {
            account_name: self.accountname,
            container: self.container,
            access,
            realm: self.realm,
            service_url: self.serviceurl,
            redirect_endpoint: self.redirectendpoint,
            root_directory: self.rootdirectory,
            block_bytes: self.chunksize,
            skip_verify: self.skipverify,
        }
    }
}

fn access(
    key: Option<Secret<String>>,
    connection_string: Option<Secret<String>>,
    written: WrittenCredentials,
    settling: &mut Settling<'_>,
) -> AzureAccess {
    let nobody = || AzureAccess::Credentials(AzureCredentials::DefaultCredentials { client_id: None });
    let has_key = key.is_some() || connection_string.is_some();
    let kind = written.kind.unwrap_or(if has_key { Kind::SharedKey } else { Kind::DefaultCredentials });
    if has_key && kind != Kind::SharedKey {
        let path = if key.is_some() { "storage.azure.accountkey" } else { "storage.azure.connectionstring" };
        settling.refuse(path, "`credentials.type` says that no key is used; keep one of the two");
    }
    if kind != Kind::ClientSecret && (written.secret.is_some() || written.tenantid.is_some()) {
        settling.refuse("storage.azure.credentials", "a secret and a tenant belong to `type: client_secret`");
    }
    match kind {
        Kind::SharedKey => match (key, connection_string) {
            (Some(_), Some(_)) => {
                settling.refuse("storage.azure.accountkey", "`connectionstring` holds a key too; keep one");
                nobody()
            }
            (Some(key), None) => AzureAccess::Key(key),
            (None, Some(text)) => AzureAccess::ConnectionString(text),
            (None, None) => {
                settling.refuse(
                    "storage.azure.credentials.type",
                    "`shared_key` needs `accountkey` or `connectionstring`",
                );
                nobody()
            }
        },
        Kind::ClientSecret => match (written.clientid, written.tenantid, written.secret) {
            (Some(client_id), Some(tenant_id), Some(secret)) => {
                AzureAccess::Credentials(AzureCredentials::ClientSecret { client_id, tenant_id, secret })
            }
            _ => {
                settling.refuse(
                    "storage.azure.credentials.type",
                    "`client_secret` needs `clientid`, `tenantid` and `secret` beside it",
                );
                nobody()
            }
        },
        Kind::DefaultCredentials => {
            AzureAccess::Credentials(AzureCredentials::DefaultCredentials { client_id: written.clientid })
        }
    }
}
