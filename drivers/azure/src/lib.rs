//! A storage driver for Azure Blob Storage.
//!
//! [`AzureDriver`] keeps objects as block blobs in one container of an account with a flat namespace. Small
//! objects are one Put Blob; uploads are blocks staged under the blob's final name and a Put Block List that
//! names exactly the blocks that were acknowledged, so a commit moves no bytes whatever their number. Reads
//! are one request each; a suffix range costs a look at the size first, since Azure has none.
//!
//! # Keys
//!
//! The keys of `storage.azure`, as distribution has them, and the field of [`Config`] each one fills:
//!
//! | key | field | meaning | default |
//! |---|---|---|---|
//! | `accountname` | `account_name` | the storage account | none; a connection string names it too |
//! | `container` | `container` | the container, which must exist | none |
//! | `accountkey` | `credentials` | [`Credentials::SharedKey`]: one of the account's two keys | none |
//! | `connectionstring` | `credentials` | [`Credentials::ConnectionString`]: `AccountName`, `AccountKey`, `BlobEndpoint`, `EndpointSuffix`, `DefaultEndpointsProtocol`, `UseDevelopmentStorage`; a `SharedAccessSignature` is refused, since it can sign no URLs | none |
//! | `credentials.type` | `credentials` | `shared_key`, `client_secret` ([`Credentials::ClientSecret`]) or `default_credentials` ([`Credentials::Default`]) | the key where one is given |
//! | `credentials.tenantid`, `.clientid`, `.secret` | `credentials` | the application of Entra ID | none |
//! | `realm` | `realm` | the cloud's domain; also decides who issues tokens | `core.windows.net` |
//! | `serviceurl` | `service_url` | the account's endpoint | `https://<account>.blob.<realm>` |
//! | `redirectendpoint` | `redirect_endpoint` | the URL before `/<container>/<blob>` that pulls are sent to | the service URL |
//! | `rootdirectory` | `root_directory` | the directory everything lies below | the container's top |
//! | `skipverify` | `skip_verify` | takes any certificate of the account; never of the issuer of tokens | off |
//! | `chunksize` | `block_size` | the preferred size of a block, up to 4000 MiB | 8 MiB |
//! | – | `parallel` | blocks of one upload in flight at once, at most; the registry sends two | 4 |
//! | `AZURE_AUTHORITY_HOST` in the environment | `authority_host` | who issues tokens, on https | by the realm |
//! | `max_retries`, `retry_delay` | same | distribution polls its copies with them; nothing is copied here, so they mean nothing | 5, 100 ms |
//!
//! `default_credentials` takes what [`Surroundings`] offer: a client secret, else a workload identity
//! (`AZURE_FEDERATED_TOKEN_FILE`, read again when what was read is ten minutes old), else the managed identity of
//! the machine, the one of `AZURE_CLIENT_ID` where it is set. Tokens come from `azure_identity` and are sent over
//! https only. In the last five minutes of one the next is fetched beside the calls, so an issuer that fails or
//! says nothing holds up nobody while the present one is good; without a good one a call waits five seconds.
//!
//! # Roles
//!
//! With an account key none. With tokens, the identity needs
//!
//! - **Storage Blob Data Contributor** on the container: reads, writes, deletes and lists blobs;
//! - **Storage Blob Delegator** on the storage account, where pulls are redirected: fetches the keys that
//!   sign URLs. A role on the container does not grant this one.
//!
//! Neither holds the right to read what kind of account it is: Azure documents that call for account keys and
//! SAS. None is needed: [`AzureDriver::inspect`] then tells it as unknown, and the probe of the store that
//! `entrepot doctor` makes shows a hierarchical namespace by its listings.
//!
//! [`AzureDriver::inspect`] tries each operation and names the role that is missing.
//!
//! # Signed URLs
//!
//! A URL is a service SAS for reading one blob, signed by the account key, or by a user delegation key where
//! there is none. It holds `rsct`, the type to answer with, covers no header, and ends with the key at the
//! latest. Delegation keys are fetched when the first URL is wanted, live for three days and an hour from
//! the beginning of the day (UTC) they are for, and are replaced in the background; while a valid one is held
//! nobody waits. Without one a pull waits three seconds for a service that says nothing, and no other waits again
//! before the service is asked anew, half a minute later: meanwhile the registry sends the blobs itself, and its
//! log says why once. A day's key is used from one o'clock on, so that no clock that is late finds it not yet
//! valid. All replicas ask for the same period, so the fields of a URL are the same on each of them.
//!
//! # Uploads
//!
//! See the module `upload`. What Azure has no word for leaves blobs below `.entrepot/aborted/`: one empty
//! mark for each aborted upload, cleared away after 30 days when uploads are listed, for four seconds each time.
//! A block costs two looks beside it, made at the same time: at the blob, which exists once completed, and at the
//! mark. Waiting blocks that nobody aborts vanish a week after the last one was written, however long
//! `uploadpurging.age` lets an upload rest; [`AzureDriver::inspect`] warns where that is longer.
//!
//! Every body Azure receives carries its CRC-64, which Azure compares. Deletes of many are 16 at once: the
//! SDK has no Blob Batch. A snapshot is deleted with its blob. Retries are the caller's
//! (`decorate::retry`); 503, 429 and `OperationTimedOut` are throttling, with the pause Azure asks for.
//!
//! # What is verified where
//!
//! On Azurite 3.37, by the tests: the whole contract with an account key, below a root directory, with
//! failures that are retried, and with tokens over https; refused conditions; both kinds of
//! signed URL with and without ranges, changed and ended; that no log holds a secret.
//! By the binary (`tests/stores/{journey,identities}.rs`): push, redirected pull and delete, with a key, and over
//! https with tokens for a client secret, for a workload identity and for a managed identity, from imitations of
//! Entra ID and of App Service's endpoint, which refuse who asks otherwise than documented. Azurite reads what
//! a token claims and not who signed it.
//!
//! Only Azure can show, and **has not been asked yet**:
//!
//! - that Entra ID itself issues tokens, and that a virtual machine's endpoint does (169.254.169.254);
//! - that two replicas with one identity get one delegation key for one period, and so one URL. Azure keeps
//!   no keys, so the value must follow from the period, but it promises nothing;
//! - that committing an empty list drops waiting blocks (documented; Azurite does);
//! - that the listing honours `startFrom` with a flat namespace. Where it does not, pages of 5000 are
//!   skipped through, which the driver notices and says once;
//! - that `spr=https`, network rules, immutability policies, soft delete and versioning behave as
//!   documented. With the latter two, deleted bytes are paid for until their retention ends;
//! - an account with a hierarchical namespace, which [`AzureDriver::inspect`] refuses: it lists directories
//!   as blobs, and not in byte order.
//!
//! Avoid keys whose segments end with a dot: Azure advises against them. The registry makes none.

#[cfg(test)]
mod canned;
mod client;
mod config;
mod credentials;
mod driver;
mod error;
mod inspect;
mod list;
mod read;
mod sas;
mod shared_key;
mod tokens;
mod upload;
mod write;

pub use config::{Config, Credentials, DEFAULT_REALM, Secret, Surroundings};
pub use driver::AzureDriver;
pub use error::OpenError;
