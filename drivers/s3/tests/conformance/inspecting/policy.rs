//! The permissions the driver's page asks for are enough, and none of them is too many: tried with keys of the
//! store's own STS that may do what a policy says.

use std::sync::Arc;

use entrepot_driver_s3::{CredentialSource, StaticCredentials};
use entrepot_storage::conformance::{CASES, Subject, run};
use entrepot_storage::{Finding, Inspection, Severity, SharedDriver};
use serde_json::Value;

use super::server::{self, FIRST, Server};

/// What the page shows.
const POLICY: &str = include_str!("../../../policy.json");
const ROOT: &str = "least/privilege";
/// Its keys are as long as a store's names may be, and the root directory is part of the name.
const TOO_LONG: &str = "every_valid_key_is_a_key";

/// The main server below a root directory, where it is no account of somebody's: those have roles to assume, which
/// is the account's business.
fn server() -> Option<Server> {
    let mut server = server::named(FIRST)?;
    let endpoint = server.config.endpoint.as_deref().unwrap_or_default();
    let has_keys = matches!(server.config.credentials, CredentialSource::Static(_));
    if !has_keys || !endpoint.contains("//127.0.0.1:") {
        server::skip("session policies are tried on a server of the tests' own, by its keys");
        return None;
    }
    server.config.root_directory = ROOT.to_owned();
    Some(server)
}

/// The page's policy for `server`, without the action that is withheld.
fn policy(server: &Server, withheld: Option<&str>) -> String {
    let text = POLICY.replace("BUCKET", &server.config.bucket).replace("ROOTDIRECTORY", ROOT);
    let mut policy: Value = serde_json::from_str(&text).expect("the policy is JSON");
    for statement in policy["Statement"].as_array_mut().expect("statements") {
        let actions = statement["Action"].as_array_mut().expect("actions");
        actions.retain(|action| action.as_str() != withheld);
    }
    policy.to_string()
}

/// Every action the policy grants.
fn actions() -> Vec<String> {
    let policy: Value = serde_json::from_str(POLICY).expect("the policy is JSON");
    let statements = policy["Statement"].as_array().expect("statements").clone();
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().expect("actions"));
    actions.map(|action| action.as_str().expect("a name").to_owned()).collect()
}

/// `server` with keys that may do what `policy` says and nothing else:
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>, "Policy".
async fn allowed(mut server: Server, policy: &str) -> Server {
    use aws_sdk_sts::config::{BehaviorVersion, Credentials, Region};
    #[expect(clippy::disallowed_methods, reason = "a test, not the registry")]
    let url = std::env::var(FIRST).expect("it was there a moment ago");
    let keys = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')?.0.split_once(':'));
    let (access, secret) = keys.expect("the URL has keys");
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(server.config.endpoint.as_deref().expect("an endpoint"))
        .region(Region::new(server.config.region.clone()))
        .credentials_provider(Credentials::new(access, secret, None, None, "tests"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let request = aws_sdk_sts::Client::from_conf(config)
        .assume_role()
        .role_arn("arn:aws:iam::123456789012:role/registry")
        .role_session_name("tests")
        .policy(policy)
        .send();
    let keys = request.await.expect("the store has an STS").credentials.expect("credentials");
    let keys = StaticCredentials::new(keys.access_key_id, keys.secret_access_key, Some(keys.session_token));
    server.config.credentials = CredentialSource::Static(keys);
    server
}

async fn inspected(server: Server, policy: &str) -> Vec<Finding> {
    allowed(server, policy).await.open().await.inspect(Inspection::EVERYTHING).await
}

/// The same keys for both, as two processes with one role's have by chance only: temporary keys stand in URLs.
async fn store() -> Option<Subject> {
    let server = server()?;
    let policy = policy(&server, None);
    let server = allowed(server, &policy).await;
    let open = || async { Arc::new(server.open().await) as SharedDriver };
    Some(Subject::new(open().await).with_second(open().await))
}

#[test]
fn the_whole_contract_holds_with_the_permissions_on_the_page() {
    for case in CASES.iter().filter(|case| case.name != TOO_LONG) {
        println!("{}", case.name);
        run(case.name, store);
    }
}

fn faults(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.severity == Severity::Fault).collect()
}

#[tokio::test]
async fn each_permission_that_is_withheld_is_named() {
    for withheld in actions().iter().map(|action| Some(action.as_str())).chain([None]) {
        let Some(server) = server() else { return };
        let policy = policy(&server, withheld);

        let findings = inspected(server, &policy).await;

        let faults = faults(&findings);
        match withheld {
            Some(action) => {
                let is_named = faults.iter().any(|fault| fault.remedy.contains(&format!("allow {action} ")));
                assert!(is_named, "{action}: {findings:#?}");
            }
            None => assert!(faults.is_empty(), "{findings:#?}"),
        }
    }
}

#[tokio::test]
async fn what_lies_beside_the_root_directory_is_out_of_reach() {
    let Some(mut server) = server() else { return };
    let policy = policy(&server, None);
    server.config.root_directory = "least/other".to_owned();

    let findings = inspected(server, &policy).await;

    assert!(!faults(&findings).is_empty(), "{findings:#?}");
}
