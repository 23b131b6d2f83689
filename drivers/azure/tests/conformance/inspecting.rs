//! What the driver tells about a container.

use entrepot_driver_azure::AzureDriver;
use entrepot_storage::{Finding, Inspection, Severity, StorageDriver as _};

use crate::{account, tokens};

pub(crate) fn faults(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.severity == Severity::Fault).collect()
}

#[tokio::test]
async fn a_sound_container_has_no_faults_and_nothing_is_left_in_it() {
    let Some(config) = account::with_key() else { return };
    let driver = account::open(&config).await;

    let findings = driver.inspect(Inspection::EVERYTHING).await;

    assert!(faults(&findings).is_empty(), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.subject == "compare and swap"));
    assert!(driver.list("probe/", None, 10).await.unwrap().objects.is_empty());
}

#[tokio::test]
async fn a_container_that_is_not_there_is_told_with_its_remedy() {
    let Some(mut config) = account::with_key() else { return };
    config.container = "entrepot-never-created".into();

    let findings = AzureDriver::open(&config).unwrap().inspect(Inspection::EVERYTHING).await;

    let faults = faults(&findings);
    assert_eq!(faults.len(), 1, "{findings:?}");
    assert!(faults[0].remedy.contains("create the container"), "{faults:?}");
}

#[tokio::test]
async fn a_missing_container_is_no_missing_object() {
    let Some(mut config) = account::with_key() else { return };
    config.container = "entrepot-never-created".into();
    let driver = AzureDriver::open(&config).unwrap();

    let error = driver.stat(&"a".parse().unwrap()).await.unwrap_err();

    assert!(!error.is_not_found() && !error.is_retryable(), "{error}");
}

#[tokio::test]
async fn the_delegated_key_is_tried_where_tokens_are_used() {
    let Some(config) = tokens::config() else { return };

    let findings = tokens::open(&config).await.inspect(Inspection::EVERYTHING).await;

    assert!(faults(&findings).is_empty(), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.state.contains("user delegation key")), "{findings:?}");
}
