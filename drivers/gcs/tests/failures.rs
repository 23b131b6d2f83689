//! What the driver makes of a store that fails, on a fake that fails when it is told to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use entrepot_driver_gcs::fake::{Effect, Operation, Options, Server};
use entrepot_driver_gcs::{Config, CredentialSource, GcsDriver};
use entrepot_storage::decorate::{Retry, RetryPolicy};
use entrepot_storage::{
    Error, ErrorKind, Inspection, Key, Part, PutMode, ReadRange, Result, Severity, StorageDriver, Upload,
};

fn server() -> Server {
    Server::start(Options::new("images")).expect("a port is free")
}

async fn open(config: Config) -> GcsDriver {
    GcsDriver::open(config).await.expect("the settings make sense")
}

fn key() -> Key {
    "records/one".parse().expect("it is a key")
}

fn kind<T>(outcome: Result<T>) -> ErrorKind {
    outcome.map(|_| ()).expect_err("it fails").kind()
}

async fn put(driver: &GcsDriver, content: &'static [u8]) -> Result<entrepot_storage::ObjectMeta> {
    driver.put(&key(), Bytes::from_static(content), PutMode::Overwrite).await
}

async fn read(driver: &GcsDriver) -> Result<Bytes> {
    driver.get(&key(), ReadRange::Whole).await?.body.into_bytes().await
}

async fn read_range(driver: &GcsDriver, range: ReadRange) -> Result<Bytes> {
    driver.get(&key(), range).await?.body.into_bytes().await
}

/// The two ways of reading: whole, and a range.
async fn readings(driver: &GcsDriver) -> [Result<Bytes>; 2] {
    [read(driver).await, read_range(driver, ReadRange::Bounded(2..8)).await]
}

#[tokio::test]
async fn a_missing_bucket_is_a_failure_and_no_absence() {
    let server = server();
    let mut config = server.config();
    config.bucket = "others".into();
    let driver = open(config).await;

    let kinds = [
        kind(driver.stat(&key()).await),
        kind(read(&driver).await),
        kind(read_range(&driver, ReadRange::From(1)).await),
        kind(put(&driver, b"x").await),
        kind(driver.put(&key(), Bytes::new(), PutMode::IfAbsent).await),
        kind(driver.delete(&key(), None).await),
        kind(driver.list("", None, 1).await),
        kind(driver.upload_begin(&key()).await),
        kind(driver.list_uploads("", None, 1).await),
    ];

    assert_eq!(kinds, [ErrorKind::Backend { retryable: false }; 9]);
}

#[tokio::test]
async fn who_says_nothing_is_refused_and_told_so() {
    let server = server();
    let mut config = server.config();
    config.credentials = CredentialSource::Anonymous;
    let driver = open(config).await;

    let kinds = [
        kind(driver.stat(&key()).await),
        kind(put(&driver, b"x").await),
        kind(read(&driver).await),
        kind(read_range(&driver, ReadRange::From(1)).await),
    ];
    assert!(kinds.iter().all(|kind| matches!(kind, ErrorKind::Backend { .. })), "{kinds:?}");
    assert!(!driver.capabilities().presign);
}

#[tokio::test]
async fn an_emulator_serves_who_says_nothing() {
    let mut options = Options::new("images");
    options.demands_authorization = false;
    let server = Server::start(options).expect("a port is free");
    let mut config = server.config();
    config.credentials = CredentialSource::Anonymous;
    let driver = open(config).await;

    put(&driver, b"0123456789").await.expect("it is put");
    let [whole, range] = readings(&driver).await;

    assert_eq!(
        (whole.expect("it is there"), range.expect("it is there")),
        ("0123456789".into(), "234567".into())
    );
}

#[tokio::test]
async fn a_store_that_asks_for_patience_is_heard() {
    let server = server();
    let driver = open(server.config()).await;

    for status in [429, 503] {
        server.fail(Operation::Put, 1, Effect::FailBefore { status, retry_after: Some(3) });

        let throttled = ErrorKind::Throttled { retry_after: Some(Duration::from_secs(3)) };
        assert_eq!(kind(put(&driver, b"x").await), throttled);
        server.fail(Operation::Get, 2, Effect::FailBefore { status, retry_after: Some(3) });
        assert_eq!(readings(&driver).await.map(kind), [throttled; 2]);
    }
    assert_eq!((server.count(Operation::Put), server.count(Operation::Get)), (2, 4), "nobody asked again");
}

#[tokio::test]
async fn a_lost_answer_to_a_write_is_settled_by_asking_again() {
    let server = server();
    let policy = RetryPolicy { first_pause: Duration::from_millis(1), ..RetryPolicy::default() };
    let driver = Retry::new(Arc::new(open(server.config()).await), policy);
    server.fail(Operation::Put, 1, Effect::HangUpAfter);

    let again = driver.put(&key(), Bytes::from_static(b"x"), PutMode::IfAbsent).await;

    // The contract: the answer may tell a condition lost against our own first attempt.
    assert_eq!(kind(again), ErrorKind::AlreadyExists);
    assert_eq!(server.count(Operation::Put), 2);
    server.fail(Operation::Put, 2, Effect::FailBefore { status: 500, retry_after: None });
    driver.put(&key(), Bytes::from_static(b"y"), PutMode::Overwrite).await.expect("the third attempt");
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_may_be_repeated() {
    for lost in [Effect::HangUpAfter, Effect::FailAfter { status: 500 }] {
        let server = server();
        let driver = open(server.config()).await;
        let upload = driver.upload_begin(&key()).await.expect("it begins");
        let part = driver.upload_part(&upload, 1, vec![Bytes::from_static(b"abc")]).await.expect("a part");
        server.fail(Operation::UploadComplete, 1, lost);

        let first = driver.upload_complete(&upload, std::slice::from_ref(&part)).await;
        let second = driver.upload_complete(&upload, &[part]).await.expect("it was completed");

        assert_eq!(kind(first), ErrorKind::Backend { retryable: true });
        assert_eq!(second.size, 3);
    }
}

/// Begins an upload of one part.
async fn uploaded(driver: &GcsDriver, content: &'static [u8]) -> (Upload, Part) {
    let upload = driver.upload_begin(&key()).await.expect("it begins");
    let part = driver.upload_part(&upload, 1, vec![Bytes::from_static(content)]).await.expect("a part");
    (upload, part)
}

/// Any object of the right size was taken for the one that was asked for.
#[tokio::test]
async fn a_completion_repeated_with_other_parts_of_equal_size_is_refused() {
    let server = server();
    let driver = open(server.config()).await;
    let (upload, part) = uploaded(&driver, b"abc").await;
    let other = driver.upload_part(&upload, 1, vec![Bytes::from_static(b"xyz")]).await.expect("another");
    let completed =
        driver.upload_complete(&upload, std::slice::from_ref(&other)).await.expect("it completes");

    let again = driver.upload_complete(&upload, &[other]).await.expect("it was completed");
    let stranger = driver.upload_complete(&upload, &[part]).await;

    assert_eq!((again.size, completed.size), (3, 3));
    assert_eq!(kind(stranger), ErrorKind::UploadGone);
}

/// Told as a failure of the store, it kept the session waiting for what no completion could bring about.
#[tokio::test]
async fn a_completion_that_made_other_bytes_leaves_an_upload_that_is_gone_however_often_it_is_asked_for() {
    let server = server();
    let driver = open(server.config()).await;
    let retried = Retry::new(Arc::new(driver.clone()), RetryPolicy::default());
    let (upload, part) = uploaded(&driver, b"abc").await;
    server.fail(Operation::UploadComplete, 1, Effect::AnotherHash(b"xyz"));

    let wrong = retried.upload_complete(&upload, std::slice::from_ref(&part)).await.expect_err("other bytes");
    let asked = server.count(Operation::UploadComplete);
    let late = driver.upload_part(&upload, 2, vec![Bytes::from_static(b"def")]).await;

    assert_eq!(wrong.kind(), ErrorKind::UploadGone);
    assert!(wrong.to_string().contains("of other bytes"), "{wrong}");
    assert_eq!(asked, 1, "it is not tried again");
    assert_eq!(kind(late), ErrorKind::UploadGone);
}

/// The pauses of retries were shorter than what Google wants between two writes of one name.
#[tokio::test]
async fn a_name_that_is_written_twice_at_once_is_written_by_asking_again_in_a_second() {
    let mut options = Options::new("images");
    options.writes_too_soon = 2;
    let server = Server::start(options).expect("a port is free");
    let driver = open(server.config()).await;
    let retried = Retry::new(Arc::new(driver.clone()), RetryPolicy::default());
    put(&driver, b"first").await.expect("it is put");

    let refused = put(&driver, b"second").await;
    let begun = Instant::now();
    retried.put(&key(), Bytes::from_static(b"third"), PutMode::Overwrite).await.expect("it waits and is put");

    assert_eq!(kind(refused), ErrorKind::Throttled { retry_after: Some(Duration::from_secs(1)) });
    assert_eq!(server.count(Operation::Put), 4);
    assert!(begun.elapsed() >= Duration::from_secs(1), "the second attempt came sooner than Google takes it");
    assert_eq!(read(&driver).await.expect("it is there"), "third");
}

#[tokio::test]
async fn a_body_that_is_cut_fails_in_the_middle() {
    let server = server();
    let driver = open(server.config()).await;
    put(&driver, b"0123456789").await.expect("it is put");
    server.fail(Operation::Get, 2, Effect::CutBody { after: 4 });

    assert_eq!(readings(&driver).await.map(kind), [ErrorKind::Backend { retryable: true }; 2]);
    assert_eq!(server.count(Operation::Get), 2, "nobody continued it");
    let [whole, range] = readings(&driver).await;
    assert_eq!(
        (whole.expect("it is whole"), range.expect("it is whole")),
        ("0123456789".into(), "234567".into())
    );
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let server = server();
    let mut config = server.config();
    config.timeouts.idle = Duration::from_millis(50);
    let driver = open(config).await;
    put(&driver, b"0123456789").await.expect("it is put");
    server.fail(Operation::Get, 2, Effect::StallBody { after: 4 });

    assert_eq!(readings(&driver).await.map(kind), [ErrorKind::Backend { retryable: true }; 2]);
}

#[tokio::test]
async fn bytes_that_change_on_their_way_are_noticed() {
    let server = server();
    let driver = open(server.config()).await;
    put(&driver, b"0123456789").await.expect("it is put");
    // Each of them is the whole object, so each has a sum to be compared with.
    for range in [ReadRange::Whole, ReadRange::From(0), ReadRange::Bounded(0..99), ReadRange::Suffix(10)] {
        server.fail(Operation::Get, 1, Effect::FlipByte { at: 4 });

        let read = read_range(&driver, range.clone()).await;

        assert_eq!(kind(read), ErrorKind::Backend { retryable: true }, "{range:?}");
    }
}

#[tokio::test]
async fn an_answer_to_another_range_is_noticed_before_its_first_byte() {
    let server = server();
    let driver = open(server.config()).await;
    // Longer than what is read at once.
    let content: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
    driver.put(&key(), content.into(), PutMode::Overwrite).await.expect("it is put");
    for answered in [Some("bytes=1-100000"), Some("bytes=0-100"), None] {
        server.fail(Operation::Get, 1, Effect::AnotherRange(answered));

        let read = driver.get(&key(), ReadRange::Bounded(0..100_000)).await;

        assert_eq!(kind(read), ErrorKind::Backend { retryable: true }, "{answered:?}");
    }
}

#[tokio::test]
async fn bytes_that_change_on_their_way_to_the_store_are_refused_by_it() {
    let server = server();
    let driver = open(server.config()).await;
    let changed = Effect::Replace { sent: b"0123456789", arrived: b"0123406789" };
    server.fail(Operation::Put, 1, changed);

    assert!(matches!(kind(put(&driver, b"0123456789").await), ErrorKind::Backend { .. }));
    assert_eq!(kind(driver.stat(&key()).await), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_404_that_does_not_say_what_is_missing_is_asked_about() {
    let server = server();
    let driver = open(server.config()).await;
    let vague = || server.fail(Operation::Stat, 1, Effect::FailBefore { status: 404, retry_after: None });

    vague();
    let missing = kind(driver.stat(&key()).await);
    put(&driver, b"0123456789").await.expect("it is put");
    vague();
    let there = kind(driver.stat(&key()).await);

    assert_eq!((missing, there), (ErrorKind::NotFound, ErrorKind::Backend { retryable: false }));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_given_up() {
    let server = server();
    let mut config = server.config();
    config.timeouts.call = Duration::from_millis(50);
    config.timeouts.transfer = Duration::from_millis(50);
    let driver = open(config).await;
    for operation in [Operation::Stat, Operation::Put, Operation::Get] {
        server.fail(operation, u64::MAX, Effect::Delay(Duration::from_secs(3600)));
    }

    let errors: [Error; 4] = [
        driver.stat(&key()).await.expect_err("nobody waits an hour"),
        put(&driver, b"x").await.expect_err("nobody waits an hour"),
        read(&driver).await.expect_err("nobody waits an hour"),
        read_range(&driver, ReadRange::From(1)).await.expect_err("nobody waits an hour"),
    ];

    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Backend { retryable: true });
        assert!(error.to_string().contains("no answer within"), "{error}");
    }
}

#[tokio::test]
async fn a_small_part_in_the_middle_is_a_part_of_somebody_else() {
    let server = server();
    let driver = open(server.config()).await;
    let upload = driver.upload_begin(&key()).await.expect("it begins");
    let mut parts = Vec::new();
    for number in 1..=2 {
        let body = vec![Bytes::from_static(b"abc")];
        parts.push(driver.upload_part(&upload, number, body).await.expect("a part"));
    }

    let refused = driver.upload_complete(&upload, &parts).await;

    assert_eq!(kind(refused), ErrorKind::PartMismatch);
}

/// The size was told as a failure of the store, and the session of such an upload could never be closed.
#[tokio::test]
async fn a_small_part_of_a_late_writer_is_a_mismatch_whichever_fault_is_told_first() {
    for tells_size_first in [false, true] {
        let options = Options { min_part: 6, tells_size_first, ..Options::new("images") };
        let server = Server::start(options).expect("a port is free");
        let driver = open(server.config()).await;
        let (upload, first) = uploaded(&driver, b"abcdef").await;
        let second = driver.upload_part(&upload, 2, vec![Bytes::from_static(b"g")]).await.expect("a part");
        driver.upload_part(&upload, 1, vec![Bytes::from_static(b"late")]).await.expect("it is late");

        let refused =
            driver.upload_complete(&upload, &[first, second]).await.expect_err("it was overwritten");

        assert_eq!(refused.kind(), ErrorKind::PartMismatch);
        let code = if tells_size_first { "EntityTooSmall" } else { "InvalidPart" };
        assert!(refused.to_string().contains(code), "{refused}");
    }
}

#[tokio::test]
async fn every_operation_costs_the_requests_it_should() {
    let server = server();
    let driver = open(server.config()).await;
    let version = put(&driver, b"x").await.expect("it is put").version;
    driver.stat(&key()).await.expect("it is there");
    read(&driver).await.expect("it is there");
    read_range(&driver, ReadRange::Suffix(1)).await.expect("it is there");
    driver.list("", None, 10).await.expect("it lists");
    driver.delete(&key(), version.as_ref()).await.expect("it is deleted");
    assert_eq!(kind(driver.stat(&key()).await), ErrorKind::NotFound);
    let upload = driver.upload_begin(&key()).await.expect("it begins");
    let part = driver.upload_part(&upload, 1, vec![Bytes::from_static(b"abc")]).await.expect("a part");
    driver.upload_flush(&upload).await.expect("it flushes");
    driver.upload_complete(&upload, &[part]).await.expect("it completes");

    let counted = [
        (Operation::Put, 1),
        (Operation::Stat, 2),
        (Operation::Get, 2),
        (Operation::List, 1),
        (Operation::Delete, 1),
        (Operation::UploadBegin, 1),
        (Operation::UploadPart, 1),
        (Operation::UploadComplete, 1),
        (Operation::Unknown, 0),
    ];
    for (operation, requests) in counted {
        assert_eq!(server.count(operation), requests, "{operation:?}");
    }
}

#[tokio::test]
async fn an_inspection_of_a_sound_bucket_finds_no_fault() {
    let server = server();
    let driver = open(server.config()).await;

    let findings = driver.inspect(Inspection::EVERYTHING).await;

    assert!(findings.len() >= 10, "{findings:?}");
    assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:?}");
    assert!(driver.list("", None, 10).await.expect("it lists").objects.is_empty(), "the probe is gone");
    assert!(driver.list_uploads("", None, 10).await.expect("it lists").is_empty());
}

#[tokio::test]
async fn an_inspection_names_the_permission_that_is_missing() {
    let missing = [
        (Operation::Put, "storage.objects.create"),
        (Operation::Get, "storage.objects.get"),
        (Operation::List, "storage.objects.list"),
        (Operation::Delete, "storage.objects.delete"),
        (Operation::UploadBegin, "storage.multipartUploads.create"),
        (Operation::UploadAbort, "storage.multipartUploads.abort"),
        (Operation::ListUploads, "storage.multipartUploads.list"),
    ];
    for (operation, permission) in missing {
        let server = server();
        let driver = open(server.config()).await;
        server.fail(operation, u64::MAX, Effect::FailBefore { status: 403, retry_after: None });

        let findings = driver.inspect(Inspection::EVERYTHING).await;

        let faults: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Fault).collect();
        assert!(faults.iter().any(|fault| fault.remedy.contains(permission)), "{permission}: {faults:?}");
    }
}

#[tokio::test]
async fn settings_that_may_not_be_read_are_told_to_be_unknown() {
    let server = server();
    let driver = open(server.config()).await;
    server.fail(Operation::Bucket, 1, Effect::FailBefore { status: 403, retry_after: None });

    let findings = driver.inspect(Inspection::EVERYTHING).await;

    let remarkable: Vec<_> = findings.iter().filter(|finding| finding.severity > Severity::Note).collect();
    assert!(matches!(remarkable[..], [found] if found.severity == Severity::Unknown), "{findings:?}");
    assert!(remarkable[0].remedy.contains("storage.buckets.get"), "{findings:?}");
}

#[tokio::test]
async fn a_bucket_that_is_not_there_or_does_not_know_us_is_one_fault() {
    let server = server();
    let mut misspelt = server.config();
    misspelt.bucket = "others".into();
    let missing = open(misspelt).await.inspect(Inspection::EVERYTHING).await;
    let driver = open(server.config()).await;
    server.fail(Operation::List, 1, Effect::FailBefore { status: 401, retry_after: None });
    let unknown = driver.inspect(Inspection::EVERYTHING).await;

    for (findings, remedy) in [(missing, "correct its name"), (unknown, "Correct the key")] {
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].severity, Severity::Fault);
        assert!(findings[0].remedy.contains(remedy), "{findings:?}");
    }
}

#[tokio::test]
async fn an_inspection_that_may_not_write_leaves_no_trace_of_having_tried() {
    let server = server();
    let driver = open(server.config()).await;

    let findings =
        driver.inspect(Inspection { writes: false, redirects: false, ..Inspection::EVERYTHING }).await;

    assert!(findings.iter().all(|finding| !finding.subject.contains("permission")), "{findings:?}");
    assert_eq!(server.count(Operation::Put) + server.count(Operation::UploadBegin), 0);
}
