//! An account of which only the name is given: who we are to it, the surroundings say. Nobody imitates that here,
//! so all but the first test are for real accounts.

use std::sync::Arc;

use entrepot_driver_azure::{AzureDriver, Config, Credentials, Surroundings};
use entrepot_storage::conformance::Subject;
use entrepot_storage::{Inspection, SharedDriver, StorageDriver as _};

use crate::account::{container, read, variable};
use crate::inspecting::faults;
use crate::tokens;

/// The account `name`, as whoever these variables stand for.
fn named(name: String, container: String, read: impl Fn(&str) -> Option<String>) -> Config {
    let surroundings = Surroundings {
        tenant_id: read("AZURE_TENANT_ID"),
        client_id: read("AZURE_CLIENT_ID"),
        client_secret: read("AZURE_CLIENT_SECRET").map(Into::into),
        token_file: read("AZURE_FEDERATED_TOKEN_FILE").map(Into::into),
    };
    let authority_host = read("AZURE_AUTHORITY_HOST");
    Config { authority_host, ..Config::new(name, container, Credentials::Default(surroundings)) }
}

#[tokio::test]
async fn an_account_of_which_only_the_name_is_given_opens_with_and_without_variables_and_can_sign() {
    let token = tempfile::NamedTempFile::new().expect("a file");
    let read = |variable: &str| match variable {
        "AZURE_TENANT_ID" => Some("11111111-1111-1111-1111-111111111111".to_owned()),
        "AZURE_CLIENT_ID" => Some("app".to_owned()),
        "AZURE_FEDERATED_TOKEN_FILE" => token.path().to_str().map(str::to_owned),
        "AZURE_AUTHORITY_HOST" => Some("https://login.microsoftonline.us".to_owned()),
        _ => None,
    };

    let federated = named("example".into(), "images".into(), read);
    let machine = named("example".into(), "images".into(), |_| None);

    for config in [federated, machine] {
        let driver = AzureDriver::open(&config).expect("the settings go together");
        assert!(driver.capabilities().presign, "by a delegated key");
    }
}

/// Two drivers on a container that has to be there: who reads and writes blobs may not create one.
fn two() -> Option<(AzureDriver, AzureDriver)> {
    let name = variable("ENTREPOT_TEST_AZURE_ACCOUNT")?;
    let config = Config { root_directory: "surroundings".into(), ..named(name, container(), read) };
    let open = || AzureDriver::open(&config).expect("the settings go together");
    Some((open(), open()))
}

async fn store() -> Option<Subject> {
    let (one, other) = two()?;
    Some(Subject::new(Arc::new(one) as SharedDriver).with_second(Arc::new(other)))
}

entrepot_storage::conformance_tests!(store);

#[tokio::test]
async fn a_delegated_signature_is_read_by_a_client_without_credentials() {
    let Some((driver, _)) = two() else { return };

    tokens::delegated_signatures_are_read_as_they_are(&driver).await;
}

#[tokio::test]
async fn two_replicas_sign_alike_with_keys_delegated_to_each() {
    let Some((one, other)) = two() else { return };

    tokens::two_sign_alike(&one, &other).await;
}

#[tokio::test]
async fn an_inspection_finds_no_fault() {
    let Some((driver, _)) = two() else { return };

    let findings = driver.inspect(Inspection::EVERYTHING).await;

    assert!(faults(&findings).is_empty(), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.state.contains("user delegation key")), "{findings:?}");
}
