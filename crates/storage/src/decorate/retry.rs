//! Asks again where that may help: a bounded number of times, after a random pause, within a budget.
//!
//! The budget keeps a store that fails everything from being asked many times as often: each failure
//! spends one token, each success earns a fraction of one, and without tokens failures are passed on at
//! once. Conditional writes are repeated too. Then the answer may report a lost condition against our
//! own first attempt; the contract tells callers to compare what is stored. A body whose first byte was
//! handed on is not begun again.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Operation;
use crate::{
    Capabilities, Error, ErrorKind, Key, ListPage, Object, ObjectMeta, Part, PreparedPut, PresignOptions,
    PutMode, ReadRange, Result, SharedDriver, SignedUrl, StorageDriver, Upload, UploadEntry, Version,
};

/// How often and how soon to ask again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Calls in all, the first included; at least 1.
    pub attempts: u32,
    /// The pause before the second attempt is a random part of this; it doubles each time.
    pub first_pause: Duration,
    /// No pause is much longer. A store that asks for more is not asked again: its wish is passed on.
    pub longest_pause: Duration,
    /// Failures that may be retried before successes must earn more.
    pub budget: u32,
    /// What a success earns, in retries.
    pub earned_per_success: f32,
}

impl Default for RetryPolicy {
    /// Three attempts within about a second; 100 retries at once, one more for every ten successes.
    fn default() -> Self {
        Self {
            attempts: 3,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(2),
            budget: 100,
            earned_per_success: 0.1,
        }
    }
}

/// Repeats calls that failed in a way that may pass.
#[derive(Debug)]
pub struct Retry {
    inner: SharedDriver,
    policy: RetryPolicy,
    tokens: Mutex<f32>,
}

impl Retry {
    /// Repeats the calls of `inner` as `policy` says.
    pub fn new(inner: SharedDriver, policy: RetryPolicy) -> Self {
        Self { inner, policy, tokens: Mutex::new(policy.budget as f32) }
    }

    async fn attempt<T, F>(&self, operation: Operation, call: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut attempt = 1;
        loop {
            let error = match call().await {
                Ok(answer) => {
                    self.earn();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if !error.is_retryable() || attempt >= self.policy.attempts.max(1) {
                return Err(error);
            }
            let Some(pause) = self.pause(&error, attempt).filter(|_| self.spend()) else {
                return Err(error);
            };
            tracing::debug!(%operation, attempt, ?pause, %error, "asking the store again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// How long to wait before the next attempt, if there is to be one.
    fn pause(&self, error: &Error, attempt: u32) -> Option<Duration> {
        let RetryPolicy { first_pause, longest_pause, .. } = self.policy;
        let doubling = |from: Duration| from.saturating_mul(1 << (attempt - 1).min(16)).min(longest_pause);
        match error.kind() {
            ErrorKind::Throttled { retry_after: Some(asked) } => {
                (asked <= longest_pause).then(|| asked + (asked / 2).mul_f64(random_fraction()))
            }
            // Less than a second would be no answer to a store that counts requests by the second.
            ErrorKind::Throttled { retry_after: None } => {
                let least = doubling(longest_pause / 4);
                Some(least + least.mul_f64(random_fraction()))
            }
            _ => Some(doubling(first_pause).mul_f64(random_fraction())),
        }
    }

    fn spend(&self) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let affordable = *tokens >= 1.0;
        if affordable {
            *tokens -= 1.0;
        }
        affordable
    }

    fn earn(&self) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        *tokens = (*tokens + self.policy.earned_per_success).min(self.policy.budget as f32);
    }
}

/// Evenly between 0 and 1: clients that failed together must not come back together.
fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "retry({})", self.inner)
    }
}

#[async_trait]
impl StorageDriver for Retry {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        self.attempt(Operation::Stat, || self.inner.stat(key)).await
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        self.attempt(Operation::Get, || self.inner.get(key, range.clone())).await
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        self.attempt(Operation::Put, || self.inner.put(key, body.clone(), mode.clone())).await
    }

    fn prepare_put(&self, key: &Key, body: &Bytes) -> PreparedPut {
        self.inner.prepare_put(key, body)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.attempt(Operation::Delete, || self.inner.delete(key, version)).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        self.attempt(Operation::DeleteMany, || self.inner.delete_many(keys)).await
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        self.attempt(Operation::List, || self.inner.list(prefix, start_after, limit)).await
    }

    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        self.attempt(Operation::PresignGet, || self.inner.presign_get(key, options)).await
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        self.attempt(Operation::UploadBegin, || self.inner.upload_begin(key)).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        // The pieces are shared, not copied.
        self.attempt(Operation::UploadPart, || self.inner.upload_part(upload, number, body.clone())).await
    }

    async fn upload_flush(&self, upload: &Upload) -> Result<()> {
        self.attempt(Operation::UploadFlush, || self.inner.upload_flush(upload)).await
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        self.attempt(Operation::UploadComplete, || self.inner.upload_complete(upload, parts)).await
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        self.attempt(Operation::UploadAbort, || self.inner.upload_abort(upload)).await
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        self.attempt(Operation::ListUploads, || self.inner.list_uploads(prefix, start_after, limit)).await
    }
}
