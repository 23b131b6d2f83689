//! Deadlines.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entrepot_driver_memory::MemoryDriver;
use entrepot_storage::decorate::{Controls, Effect, Fault, Operation, Rule, Timeout, Timeouts};
use entrepot_storage::{
    Body, Capabilities, Error, ErrorKind, Key, ListPage, Object, ObjectMeta, Part, PreparedPut,
    PresignOptions, PutMode, ReadRange, Result, SharedDriver, SignedUrl, StorageDriver, Upload, UploadEntry,
    Version,
};
use futures_util::{StreamExt, stream};

use super::{key, with_still_clock};

const TIMEOUTS: Timeouts = Timeouts {
    call: Duration::from_secs(1),
    transfer: Duration::from_secs(10),
    completion: Duration::from_secs(100),
    idle: Duration::from_secs(2),
};

fn bounded() -> (Timeout, Controls) {
    let fault = Fault::new(MemoryDriver::new().shared(), "tester", 1);
    let controls = fault.controls();
    (Timeout::new(Arc::new(fault), TIMEOUTS), controls)
}

fn delay(seconds: u64) -> Rule {
    Rule::new(Effect::Delay(Duration::from_secs(seconds)))
}

#[test]
fn a_call_past_its_deadline_fails_as_one_that_may_be_repeated() {
    with_still_clock(async {
        let (store, controls) = bounded();
        controls.add(delay(2).on(Operation::Stat));

        let error = store.stat(&key("a")).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Backend { retryable: true });
        assert_eq!(error.key(), Some(&key("a")));
        assert!(error.to_string().contains("stat"), "{error}");
    });
}

#[test]
fn a_call_within_its_deadline_is_untouched() {
    with_still_clock(async {
        let (store, controls) = bounded();
        controls.add(delay(9).on(Operation::Put));

        assert!(store.put(&key("a"), Bytes::from(vec![0; 256 << 10]), PutMode::Overwrite).await.is_ok());
    });
}

#[test]
fn a_record_is_given_less_time_than_a_part_and_a_very_large_part_more() {
    with_still_clock(async {
        let (store, controls) = bounded();
        controls.add(delay(3).on(Operation::Put));

        let record = store.put(&key("a"), Bytes::from_static(b"x"), PutMode::Overwrite).await;

        assert_eq!(record.unwrap_err().kind(), ErrorKind::Backend { retryable: true });
        assert_eq!(TIMEOUTS.sending(1 << 20), TIMEOUTS.transfer);
        assert_eq!(TIMEOUTS.sending(1 << 30), Duration::from_secs(1024));
    });
}

#[test]
fn a_call_that_was_given_up_before_it_was_applied_is_not_applied_later() {
    with_still_clock(async {
        let (store, controls) = bounded();
        controls.add(delay(11).on(Operation::Put));

        store.put(&key("a"), Bytes::from_static(b"x"), PutMode::Overwrite).await.unwrap_err();
        tokio::time::sleep(Duration::from_secs(60)).await;

        assert!(store.stat(&key("a")).await.unwrap_err().is_not_found());
    });
}

#[test]
fn a_body_that_stops_fails_after_the_idle_deadline_and_ends() {
    with_still_clock(async {
        let store = Timeout::new(Arc::new(Stalling(MemoryDriver::new().shared())), TIMEOUTS);
        store.put(&key("a"), Bytes::from_static(b"12345"), PutMode::Overwrite).await.unwrap();

        let mut body = store.get(&key("a"), ReadRange::Whole).await.unwrap().body.into_stream();

        assert_eq!(body.next().await.unwrap().unwrap(), "12345");
        tokio::time::sleep(Duration::from_secs(60)).await; // The reader's own time does not count.
        assert_eq!(body.next().await.unwrap().unwrap_err().kind(), ErrorKind::Backend { retryable: true });
        assert!(body.next().await.is_none());
    });
}

/// A store whose bodies never end.
#[derive(Debug)]
struct Stalling(SharedDriver);

impl std::fmt::Display for Stalling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stalling({})", self.0)
    }
}

#[async_trait::async_trait]
impl StorageDriver for Stalling {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        let mut object = self.0.get(key, range).await?;
        object.body = Body::Stream(Box::pin(object.body.into_stream().chain(stream::pending())));
        Ok(object)
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        self.0.stat(key).await
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        self.0.put(key, body, mode).await
    }

    fn prepare_put(&self, key: &Key, body: &Bytes) -> PreparedPut {
        self.0.prepare_put(key, body)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.0.delete(key, version).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        self.0.delete_many(keys).await
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        self.0.list(prefix, start_after, limit).await
    }

    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        self.0.presign_get(key, options).await
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        self.0.upload_begin(key).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        self.0.upload_part(upload, number, body).await
    }

    async fn upload_flush(&self, upload: &Upload) -> Result<()> {
        self.0.upload_flush(upload).await
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        self.0.upload_complete(upload, parts).await
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        self.0.upload_abort(upload).await
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        start: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        self.0.list_uploads(prefix, start, limit).await
    }
}
