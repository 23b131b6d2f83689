//! What the container can and cannot do, found out by trying: Azure tells nobody what he may do.

use azure_storage_blob::models::{
    BlobContainerClientGetAccountInfoResultHeaders as _, BlobContainerClientGetPropertiesResultHeaders as _,
};
use bytes::Bytes;
use entrepot_storage::{
    Error, ErrorKind, Finding, Inspection, Key, PutMode, ReadRange, Result, StorageDriver as _,
};

use crate::AzureDriver;
use crate::client::Store;
use crate::error;
use crate::sas::SignedBy;

const CONTRIBUTOR: &str =
    "give the registry's identity the role Storage Blob Data Contributor on the container";
const DELEGATOR: &str = "give the registry's identity the role Storage Blob Delegator on the storage account, \
    or turn redirects off";
const SIGNED_URLS: &str = "signed URLs";
/// How long blocks wait after the last one was written.
const DAYS_OF_BLOCKS: u64 = 7;
const UNUSABLE: &str = "the container cannot be used";

pub(crate) async fn inspect(driver: &AzureDriver, store: &Store, allowed: Inspection) -> Vec<Finding> {
    let mut findings = vec![account(store).await];
    match container(store).await {
        Ok(found) => findings.push(found),
        Err(found) => {
            findings.push(found);
            return findings;
        }
    }
    match probe_key() {
        Ok(key) if allowed.writes => findings.extend(operations(driver, &key).await),
        Ok(_) => {}
        Err(error) => findings.push(Finding::fault("operations", error.to_string(), "")),
    }
    if allowed.redirects {
        findings.push(signing(store).await);
    }
    findings.extend(rest(allowed));
    findings.push(Finding::unknown(
        "lifecycle rules",
        "they belong to the account and cannot be read with the rights a registry needs",
        "look with `az storage account management-policy show --account-name … --resource-group …`: no rule may \
         delete or archive blobs of this container, or those below the root directory",
    ));
    findings
}

async fn account(store: &Store) -> Finding {
    const SUBJECT: &str = "storage account";
    let answer = match store.container.get_account_info(None).await {
        Ok(answer) => answer,
        Err(error) => {
            // The roles a registry needs do not hold the right to ask.
            return Finding::unknown(
                SUBJECT,
                format!("its kind may not be read: {}", error::meaning(&error)),
                "see that it has no hierarchical namespace (`az storage account show --query isHnsEnabled`); the \
                 probe of its listings tells as well",
            );
        }
    };
    let kind =
        answer.account_kind().ok().flatten().map_or("of an unknown kind".into(), |kind| kind.to_string());
    if answer.is_hierarchical_namespace_enabled().ok().flatten() == Some(true) {
        let state = format!(
            "{kind} with a hierarchical namespace: it lists directories among the blobs and \
            not in the order of their names"
        );
        return Finding::fault(SUBJECT, state, "use an account with a flat namespace");
    }
    if kind == "BlockBlobStorage" || kind == "StorageV2" || kind == "BlobStorage" {
        return Finding::note(SUBJECT, format!("{kind} with a flat namespace"));
    }
    Finding::warning(SUBJECT, kind, "StorageV2 and BlockBlobStorage accounts are known to work")
}

/// Whether it is there. Fails where nothing else need be tried.
async fn container(store: &Store) -> std::result::Result<Finding, Finding> {
    const SUBJECT: &str = "container";
    match store.container.get_properties(None).await {
        Ok(answer) if answer.access().ok().flatten().is_some() => Ok(Finding::warning(
            SUBJECT,
            format!("{} is open to anybody who knows a name in it", store.place),
            "set its access level to private: pulls are signed",
        )),
        Ok(_) => Ok(Finding::note(SUBJECT, format!("{} answers and is private", store.place))),
        // Its properties take a right that reading and writing blobs do not.
        Err(error) if error::status(&error) == 403 && error::code(&error) != Some("AuthenticationFailed") => {
            let state = format!("{} answers; its properties may not be read, which is no harm", store.place);
            Ok(Finding::note(SUBJECT, state))
        }
        Err(error) => {
            let remedy = match error::code(&error) {
                Some("ContainerNotFound") => "create the container, or correct its name",
                Some("AuthenticationFailed" | "InvalidAuthenticationInfo") => {
                    "correct the key, secret or identity, and the machine's clock"
                }
                _ => "look at account name, service URL, network rules of the account, and the identity",
            };
            Err(Finding::fault(SUBJECT, format!("{UNUSABLE}: {}", error::meaning(&error)), remedy))
        }
    }
}

/// A key below the root that nobody else uses.
fn probe_key() -> Result<Key> {
    let upload = crate::upload::begin(&"probe".parse().map_err(invalid)?)?;
    format!("probe/inspect-{}", upload.id).parse().map_err(invalid)
}

fn invalid(error: entrepot_storage::key::InvalidKey) -> Error {
    Error::new(error::NAME, ErrorKind::Backend { retryable: false }).because(error)
}

async fn operations(driver: &AzureDriver, key: &Key) -> Vec<Finding> {
    let body = Bytes::from_static(b"entrepot");
    let written = driver.put(key, body.clone(), PutMode::IfAbsent).await;
    let mut findings = vec![told("write blobs", written.as_ref().err())];
    if written.is_err() {
        return findings;
    }
    let read = driver.get(key, ReadRange::Whole).await;
    findings.push(told("read blobs", read.as_ref().err()));
    let listed = driver.list(key.as_str(), None, 1).await;
    findings.push(told("list blobs", listed.as_ref().err()));
    let again = driver.put(key, body.clone(), PutMode::IfAbsent).await;
    findings.push(kept("write only where nothing is", again.err(), ErrorKind::AlreadyExists));
    let current = driver.put(key, Bytes::from_static(b"again"), PutMode::Overwrite).await;
    findings.push(told("overwrite blobs", current.as_ref().err()));
    if let Some(old) = written.ok().and_then(|meta| meta.version) {
        let swapped = driver.put(key, body, PutMode::IfMatch(old.clone())).await;
        findings.push(kept("compare and swap", swapped.err(), ErrorKind::Precondition));
        let deleted = driver.delete(key, Some(&old)).await;
        findings.push(kept("compare and delete", deleted.err(), ErrorKind::Precondition));
    }
    let deleted = driver.delete(key, None).await;
    findings.push(told("delete blobs", deleted.as_ref().err()));
    let uploaded = upload(driver, key).await;
    findings.push(told("upload in blocks", uploaded.as_ref().err()));
    findings
}

async fn upload(driver: &AzureDriver, key: &Key) -> Result<()> {
    let upload = driver.upload_begin(key).await?;
    let part = driver.upload_part(&upload, 1, vec![Bytes::from_static(b"block")]).await?;
    driver.upload_complete(&upload, &[part]).await?;
    driver.delete(key, None).await
}

/// What trying an operation told.
fn told(operation: &str, error: Option<&Error>) -> Finding {
    let subject = format!("permission to {operation}");
    match error {
        None => Finding::note(subject, "is there"),
        Some(error) => Finding::fault(subject, error.to_string(), CONTRIBUTOR),
    }
}

/// What trying to break a condition told.
fn kept(condition: &str, error: Option<Error>, expected: ErrorKind) -> Finding {
    match error {
        Some(error) if error.kind() == expected => Finding::note(condition, "is kept"),
        Some(error) => Finding::fault(condition, error.to_string(), CONTRIBUTOR),
        None => Finding::fault(
            condition,
            "the store does not keep the condition: replicas would overwrite each other's records",
            "use Azure Blob Storage itself, or a store that knows If-Match and If-None-Match",
        ),
    }
}

async fn signing(store: &Store) -> Finding {
    match &store.signer.by {
        SignedBy::Account(_) => Finding::note(
            SIGNED_URLS,
            "are signed by the account key; they are refused where the account forbids shared keys",
        ),
        SignedBy::Delegation(lender) => delegated(lender.inspect().await),
    }
}

/// What asking for a key that signs URLs told.
fn delegated(outcome: Result<()>) -> Finding {
    match outcome {
        Ok(()) => Finding::note(SIGNED_URLS, "are signed by a user delegation key"),
        // No role makes a service faster.
        Err(error) if error.is_retryable() => Finding::unknown(
            SIGNED_URLS,
            error.to_string(),
            "look at the network between here, the account and the issuer of tokens, and inspect again",
        ),
        Err(error) => Finding::fault(SIGNED_URLS, error.to_string(), DELEGATOR),
    }
}

/// Azure drops blocks itself, whatever the registry is told to wait for.
fn rest(allowed: Inspection) -> Option<Finding> {
    (allowed.days_of_rest() > DAYS_OF_BLOCKS).then(|| {
        Finding::warning(
            "uploads",
            "those that rest longer than a week cannot go on: Azure drops their blocks",
            "set `storage.maintenance.uploadpurging.age` to 168h",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use entrepot_storage::Severity;

    use super::*;
    use crate::canned::{Canned, Reply};

    /// An operator was sent to give a role that was there.
    #[test]
    fn only_a_refused_key_is_a_matter_of_roles() {
        let failed = |retryable| Err(Error::new(error::NAME, ErrorKind::Backend { retryable }));

        let (slow, refused) = (delegated(failed(true)), delegated(failed(false)));

        assert_eq!((slow.severity, refused.severity), (Severity::Unknown, Severity::Fault));
        assert!(refused.remedy.contains("Delegator") && !slow.remedy.contains("Delegator"), "{slow:?}");
    }

    /// The age of the purge was believed, and uploads younger than it were gone.
    #[tokio::test]
    async fn uploads_that_are_to_rest_longer_than_their_blocks_are_told_of() {
        let account = Canned::start(|_| Reply::new(200));
        let driver = account.driver();
        let told = async |days| {
            let uploads_rest = days * Duration::from_secs(86_400);
            let allowed = Inspection { writes: false, redirects: false, uploads_rest };
            let findings = driver.inspect(allowed).await;
            findings.into_iter().filter(|finding| finding.remedy.contains("uploadpurging")).count()
        };

        assert_eq!((told(7).await, told(8).await), (0, 1));
    }
}
