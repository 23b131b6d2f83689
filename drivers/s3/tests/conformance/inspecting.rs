//! What the driver finds out about a bucket, and about uploads nobody finished.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use entrepot_driver_s3::{Config, CredentialSource, S3Driver, StaticCredentials};
use entrepot_storage::{Finding, Inspection, Severity, StorageDriver};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};

use super::server;

mod policy;

fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}

#[tokio::test]
async fn a_bucket_that_may_be_used_has_no_faults_and_nothing_left_in_it() {
    for (variable, server) in server::each() {
        let driver = server.open().await;

        let findings = driver.inspect(Inspection::EVERYTHING).await;

        // A fresh bucket has no rule that cleans up unfinished uploads; an account of somebody's may not let us
        // see whether it has.
        assert!(worst(&findings) < Some(Severity::Fault), "{variable}: {findings:#?}");
        let permissions = findings.iter().find(|finding| finding.subject == "permissions");
        let severity = permissions.map(|finding| finding.severity);
        assert_eq!(severity, Some(Severity::Note), "{variable}: {findings:#?}");
        assert!(driver.list("probe/", None, 10).await.expect("it lists").objects.is_empty());
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_one_fault_with_a_remedy() {
    for (variable, mut server) in server::each() {
        // All of AWS shares one room of names.
        server.config.bucket =
            format!("entrepot-no-such-bucket-{:08x}", getrandom::u32().expect("randomness"));

        let findings = server.open().await.inspect(Inspection::EVERYTHING).await;

        assert_eq!(findings.len(), 1, "{variable}: {findings:#?}");
        assert_eq!(findings[0].severity, Severity::Fault);
        assert!(findings[0].remedy.contains("create it"), "{variable}: {findings:#?}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_one_fault_with_a_remedy() {
    for (variable, mut server) in server::each_that_checks_signatures() {
        server.config.credentials =
            CredentialSource::Static(StaticCredentials::new("nobody", "very-secret-word", None));

        let findings = server.open().await.inspect(Inspection::EVERYTHING).await;

        assert_eq!(findings.len(), 1, "{variable}: {findings:#?}");
        assert!(findings[0].remedy.contains("accesskey"), "{variable}: {findings:#?}");
        assert!(!format!("{findings:?}").contains("very-secret-word"));
    }
}

/// Shows a certificate that no authority has signed, and ends with the first connection.
fn unknown_server() -> (String, JoinHandle<()>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("they belong together");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("https://{}", listener.local_addr().expect("it is bound"));
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client comes");
        let mut connection = ServerConnection::new(Arc::new(config)).expect("a connection");
        connection.complete_io(&mut stream).expect_err("it is refused");
    });
    (endpoint, thread)
}

/// As every store's is in a container without `ca-certificates`.
#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_one_fault_with_a_remedy() {
    let (endpoint, served) = unknown_server();
    let mut config = Config::new("bucket", "us-east-1");
    config.endpoint = Some(endpoint);
    config.credentials = CredentialSource::Static(StaticCredentials::new("AK", "secret", None));
    let driver = S3Driver::open(config).await.expect("the settings go together");

    let findings = driver.inspect(Inspection::EVERYTHING).await;

    served.join().expect("it was asked");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(findings[0].remedy.contains("SSL_CERT_FILE"), "{findings:#?}");
}

/// The contract allows a listing that shows nothing; on these servers it has to show what was begun, or parts
/// would leak.
#[tokio::test]
async fn uploads_that_nobody_finished_are_found_by_a_prefix() {
    for (variable, server) in server::each() {
        let driver = server.open().await;
        let upload = driver.upload_begin(&"unfinished/one".parse().expect("a key")).await.expect("it begins");

        let found = driver.list_uploads("unfinished/", None, 1000).await.expect("it lists");
        let other = driver.list_uploads("unfinished-other/", None, 1000).await.expect("it lists");
        for entry in &found {
            driver.upload_abort(&entry.upload).await.expect("it is given up");
        }
        let left = driver.list_uploads("unfinished/", None, 1000).await.expect("it lists");

        assert!(found.iter().any(|entry| entry.upload.key == upload.key), "{variable}: {found:?}");
        assert!(left.is_empty(), "{variable}: {left:?}");
        assert!(other.is_empty(), "{variable}: {other:?}");
    }
}
