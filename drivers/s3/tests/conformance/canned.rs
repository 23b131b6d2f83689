//! Answers no emulator gives: each test plays a server that has them prepared, one for each request.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use entrepot_driver_s3::{Config, CredentialSource, Encryption, S3Driver, StaticCredentials};
use entrepot_storage::{ErrorKind, Key, Part, PutMode, ReadRange, StorageDriver, Upload, Version};
use futures_util::StreamExt;

const FAILED: ErrorKind = ErrorKind::Backend { retryable: true };

/// A server that gives these answers, in order, to one connection each. Its thread ends with the heads of the
/// requests it saw.
pub(crate) struct Canned {
    endpoint: String,
    thread: JoinHandle<Vec<String>>,
}

impl Canned {
    pub(crate) fn with(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let serve = move |answer: String| serve(listener.accept().expect("a client comes").0, &answer);
        let mut serve = serve;
        let thread = std::thread::spawn(move || answers.into_iter().map(&mut serve).collect());
        Self { endpoint, thread }
    }

    async fn driver(&self) -> S3Driver {
        self.driver_with(|_| {}).await
    }

    pub(crate) async fn driver_with(&self, change: impl FnOnce(&mut Config)) -> S3Driver {
        let mut config = Config::new("bucket", "us-east-1");
        config.endpoint = Some(self.endpoint.clone());
        config.force_path_style = true;
        config.credentials = CredentialSource::Static(StaticCredentials::new("AK", "secret", None));
        change(&mut config);
        S3Driver::open(config).await.expect("the settings go together")
    }

    /// The lines and headers of what was asked. Waits until every answer was fetched.
    pub(crate) fn heads(self) -> Vec<String> {
        self.thread.join().expect("the server does not panic")
    }

    /// The lines alone.
    fn requests(self) -> Vec<String> {
        let line = |head: String| head.lines().next().unwrap_or_default().to_owned();
        self.heads().into_iter().map(line).collect()
    }
}

/// Reads one request whole, answers it, and closes the connection.
fn serve(mut connection: TcpStream, answer: &str) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break;
            }
        }
        match connection.read(&mut buffer).expect("the request arrives") {
            0 => break,
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    connection.write_all(answer.as_bytes()).expect("the answer is taken");
    let text = String::from_utf8_lossy(&request);
    text.split_once("\r\n\r\n").map_or(&*text, |(head, _)| head).to_owned()
}

pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

pub(crate) fn error(status: &str, headers: &str, code: &str) -> String {
    let xml = "Content-Type: application/xml\r\n";
    let body = format!(
        "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>said the store</Message></Error>"
    );
    answer(status, &format!("{xml}{headers}"), &body)
}

fn key() -> Key {
    "some/object".parse().expect("a key")
}

fn upload() -> (Upload, [Part; 1]) {
    let tag = "abc;crc32c=AAAAAA==".to_owned();
    (Upload { key: key(), id: "crc32c:id".into() }, [Part { number: 1, size: 3, tag }])
}

/// The object is there, as large as the upload.
fn there() -> String {
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\nETag: \"whole-1\"\r\n\r\n".to_owned()
}

/// It is not; the answer before has shown that its bucket is.
fn absent() -> String {
    answer("404 Not Found", "", "")
}

fn without_an_etag() -> String {
    let body = "<?xml version=\"1.0\"?>\n<CompleteMultipartUploadResult><ETag>";
    answer("200 OK", "", body)
}

/// The store's word that the upload is an object now, and which checksum it keeps of it.
fn completed_as(checksum: &str) -> String {
    let body = format!(
        "<?xml version=\"1.0\"?>\n<CompleteMultipartUploadResult><ETag>\"whole-1\"</ETag>\
        {checksum}</CompleteMultipartUploadResult>"
    );
    answer("200 OK", "", &body)
}

fn unknown() -> String {
    error("404 Not Found", "", "NoSuchUpload")
}

fn known() -> String {
    answer("200 OK", "", "<?xml version=\"1.0\"?>\n<ListPartsResult></ListPartsResult>")
}

/// What came of a completion that was answered so, and the methods it took.
async fn completed(answers: Vec<String>) -> (Result<Version, ErrorKind>, Vec<String>) {
    let server = Canned::with(answers);
    let (upload, parts) = upload();
    let outcome = server.driver().await.upload_complete(&upload, &parts).await;
    let method = |line: String| line.split(' ').next().unwrap_or_default().to_owned();
    let asked = server.requests().into_iter().map(method).collect();
    let version = outcome.map(|meta| meta.version.expect("an ETag"));
    (version.map_err(|error| error.kind()), asked)
}

fn whole() -> Version {
    Version("whole-1".into())
}

/// The first is CRC32C of four zeros, the one part's checksum. The second is of the whole object, and the third is
/// Ceph's answer.
#[tokio::test]
async fn a_completion_that_tells_the_checksum_of_our_parts_or_none_of_parts_is_one() {
    let told = |checksum: &str| format!("<ChecksumCRC32C>{checksum}</ChecksumCRC32C>");
    for checksum in [told("SGdLxw==-1"), told("AAAAAQ=="), String::new()] {
        let (outcome, asked) = completed(vec![completed_as(&checksum)]).await;

        assert_eq!((outcome, asked), (Ok(whole()), vec!["POST".to_owned()]), "{checksum}");
    }
}

/// Nothing is published, and asking again would not help: the client begins anew.
#[tokio::test]
async fn a_completion_that_tells_the_checksum_of_other_parts_leaves_no_upload() {
    for checksum in ["SGdLxg==-1", "SGdLxw==-2"] {
        let told = format!("<ChecksumCRC32C>{checksum}</ChecksumCRC32C>");

        let (outcome, asked) = completed(vec![completed_as(&told)]).await;

        assert_eq!((outcome, asked), (Err(ErrorKind::UploadGone), vec!["POST".to_owned()]), "{checksum}");
    }
}

#[tokio::test]
async fn a_completion_without_an_etag_is_one_if_the_object_is_there() {
    let (outcome, asked) = completed(vec![without_an_etag(), there()]).await;

    assert_eq!((outcome, asked), (Ok(whole()), vec!["POST".to_owned(), "HEAD".to_owned()]));
}

#[tokio::test]
async fn a_completion_cut_short_is_a_failure_if_the_object_is_not_there() {
    let (outcome, asked) = completed(vec![without_an_etag(), absent()]).await;

    assert_eq!(outcome, Err(FAILED));
    assert_eq!(asked, ["POST", "HEAD"]);
}

#[tokio::test]
async fn a_completion_that_fails_was_made_before_if_the_object_is_there() {
    for is_known in [unknown(), known(), error("403 Forbidden", "", "AccessDenied")] {
        for failure in ["500 Internal Server Error", "200 OK"] {
            let answers = vec![error(failure, "", "InternalError"), is_known.clone(), there()];

            let (outcome, asked) = completed(answers).await;

            assert_eq!(outcome, Ok(whole()), "{failure} {is_known}");
            assert_eq!(asked, ["POST", "GET", "HEAD"]);
        }
    }
}

#[tokio::test]
async fn a_completion_that_fails_is_a_failure_or_the_upload_is_gone_as_the_store_says() {
    for (is_known, expected) in [(unknown(), ErrorKind::UploadGone), (known(), FAILED)] {
        let mut answers =
            vec![error("500 Internal Server Error", "", "InternalError"), is_known.clone(), absent()];
        // Nothing has shown yet that the bucket is there.
        answers.extend((expected != FAILED).then(|| answer("200 OK", "", "")));

        let (outcome, _) = completed(answers).await;

        assert_eq!(outcome, Err(expected), "{is_known}");
    }
}

/// A header of a request, where it has it.
fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs.into_iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// What is wished for what is written goes along with all of it, but for the storage class: small objects are
/// records.
#[tokio::test]
async fn wishes_for_what_is_written_are_sent_along() {
    let written = || answer("200 OK", "ETag: \"a\"\r\n", "");
    let begun = "<?xml version=\"1.0\"?>\n\
        <InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>";
    let server = Canned::with(vec![written(), written(), answer("200 OK", "", begun)]);
    let driver = server.driver_with(|config| {
        config.encryption = Encryption::Kms { key_id: Some("our-key".into()) };
        config.storage_class = Some("INTELLIGENT_TIERING".into());
        config.object_acl = Some("bucket-owner-full-control".into());
        config.user_agent = Some("our-registry".into());
    });
    let driver = driver.await;

    driver.put(&key(), Bytes::from_static(b"record"), PutMode::Overwrite).await.expect("it is written");
    driver.put(&key(), vec![0; 128 * 1024].into(), PutMode::Overwrite).await.expect("it is written");
    driver.upload_begin(&key()).await.expect("it begins");

    let heads = server.heads();
    for head in &heads {
        assert_eq!(header(head, "x-amz-server-side-encryption"), Some("aws:kms"), "{head}");
        assert_eq!(header(head, "x-amz-server-side-encryption-aws-kms-key-id"), Some("our-key"), "{head}");
        assert_eq!(header(head, "x-amz-acl"), Some("bucket-owner-full-control"), "{head}");
        assert!(header(head, "user-agent").is_some_and(|agent| agent.starts_with("our-registry")), "{head}");
    }
    let classes: Vec<_> = heads.iter().map(|head| header(head, "x-amz-storage-class")).collect();
    assert_eq!(classes, [None, Some("INTELLIGENT_TIERING"), Some("INTELLIGENT_TIERING")]);
}

#[tokio::test]
async fn a_conditional_write_that_met_another_is_made_again() {
    let conflict = error("409 Conflict", "", "ConditionalRequestConflict");
    let server = Canned::with(vec![conflict.clone(), conflict, answer("200 OK", "ETag: \"new\"\r\n", "")]);

    let written = server.driver().await.put(&key(), Bytes::from_static(b"x"), PutMode::IfAbsent).await;

    assert_eq!(written.expect("the third attempt succeeds").version.expect("an ETag").0, "new");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_conditional_write_that_always_meets_another_gives_up() {
    let conflict = error("409 Conflict", "", "ConditionalRequestConflict");
    let server = Canned::with(vec![conflict; 6]);

    let outcome = server.driver().await.put(&key(), Bytes::from_static(b"x"), PutMode::IfAbsent).await;

    assert_eq!(outcome.expect_err("nobody yields").kind(), FAILED);
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn a_store_that_asks_for_fewer_requests_is_asked_once_and_heard() {
    let server = Canned::with(vec![error("503 Slow Down", "Retry-After: 7\r\n", "SlowDown")]);

    let outcome = server.driver().await.get(&key(), ReadRange::Whole).await;

    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(outcome.expect_err("it refused").kind(), ErrorKind::Throttled { retry_after });
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_404_that_is_not_the_stores_word_is_a_failure() {
    for canned in [
        error("404 Not Found", "", "NoSuchBucket"),
        answer("404 Not Found", "Content-Type: text/html\r\n", "<html><body>no such page</body></html>"),
        answer("404 Not Found", "", ""),
    ] {
        let server = Canned::with(vec![canned]);

        let outcome = server.driver().await.get(&key(), ReadRange::Whole).await;

        assert!(matches!(outcome.expect_err("404").kind(), ErrorKind::Backend { .. }));
    }
}

#[tokio::test]
async fn a_bare_404_means_absence_only_in_a_bucket_that_is_there() {
    let missing = answer("404 Not Found", "", "");
    let nowhere = Canned::with(vec![missing.clone(), missing.clone()]);
    let somewhere = Canned::with(vec![missing.clone(), answer("200 OK", "", ""), missing]);

    let in_no_bucket = nowhere.driver().await.stat(&key()).await;
    let driver = somewhere.driver().await;
    let in_a_bucket = driver.stat(&key()).await;
    let again = driver.stat(&key()).await;

    assert_eq!(in_no_bucket.expect_err("404").kind(), ErrorKind::Backend { retryable: false });
    assert_eq!(in_a_bucket.expect_err("404").kind(), ErrorKind::NotFound);
    assert_eq!(again.expect_err("404").kind(), ErrorKind::NotFound);
    let asked = somewhere.requests();
    assert_eq!(asked.len(), 3, "the bucket is looked for once in a while: {asked:?}");
}

#[tokio::test]
async fn a_body_that_is_cut_short_ends_with_an_error() {
    let whole = answer("200 OK", "ETag: \"a\"\r\n", &"x".repeat(100_000));
    let server = Canned::with(vec![whole[..50_000].to_owned()]);

    let object = server.driver().await.get(&key(), ReadRange::Whole).await.expect("it begins well");
    let chunks: Vec<_> = object.body.into_stream().collect().await;

    assert!(chunks.last().expect("something arrives").is_err());
    assert!(chunks[..chunks.len() - 1].iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_small_body_that_is_cut_short_is_an_error() {
    let whole = answer("200 OK", "ETag: \"a\"\r\n", &"x".repeat(1000));
    let server = Canned::with(vec![whole[..500].to_owned()]);

    let outcome = server.driver().await.get(&key(), ReadRange::Whole).await;

    assert_eq!(outcome.expect_err("half of it is missing").kind(), FAILED);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failure_that_may_pass() {
    let server = Canned::with(Vec::new());
    let driver = server.driver().await;
    server.requests();

    let outcome = driver.stat(&key()).await;

    assert_eq!(outcome.expect_err("nobody listens").kind(), FAILED);
}

#[tokio::test]
async fn no_secret_is_in_what_the_driver_shows() {
    let server = Canned::with(vec![error("403 Forbidden", "", "SignatureDoesNotMatch")]);
    let driver = server.driver().await;
    let refused = driver.get(&key(), ReadRange::Whole).await.expect_err("it was refused");

    for text in [format!("{driver:?}"), driver.to_string(), refused.to_string(), format!("{refused:?}")] {
        assert!(!text.contains("secret"), "{text}");
    }
}
