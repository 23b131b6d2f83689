//! A driver that does nothing until the scheduler says so: every request is one step.
//!
//! Each logical process has a [`Stepped`] of its own over the shared store, so a request names its process
//! even where the process spawned a task for it. Requests a process issues together wait together.

use std::fmt;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use entrepot_driver_memory::MemoryDriver;
use entrepot_storage::{
    Capabilities, Error, ErrorKind, Key, ListPage, Object, ObjectMeta, Part, PreparedPut, PresignOptions,
    PutMode, ReadRange, Result, SignedUrl, StorageDriver, Upload, UploadEntry, Version,
};
use tokio::sync::oneshot;

/// What is asked of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Ask {
    Get,
    Stat,
    List,
    Put,
    /// A put that was reported failed and arrives after all.
    LatePut,
    Delete,
    DeleteMany,
    Begin,
    Part,
    Flush,
    Complete,
    Abort,
    ListUploads,
}

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    pub(crate) process: usize,
    pub(crate) ask: Ask,
    pub(crate) key: String,
    /// Tells two equal requests of one process apart.
    arrival: u64,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is applied and answered.
    Apply,
    /// It is not applied and fails.
    Fail { retryable: bool },
    /// It is applied, but the answer is a failure.
    ApplyThenFail { retryable: bool },
    /// It is applied, and its process stops before the answer comes: a lost reply.
    ApplyThenVanish,
    /// It fails now and is applied later (a put; anything else fails).
    Late,
}

/// Where requests wait and where their traces are left.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: Vec<(Ticket, oneshot::Sender<Verdict>)>,
    arrivals: u64,
    touched: Vec<Key>,
    outcome: String,
}

impl Board {
    /// The requests that wait, in an order that depends on nothing but what they are.
    pub(crate) fn waiting(&self) -> Vec<Ticket> {
        let mut tickets: Vec<Ticket> =
            self.state().waiting.iter().map(|(ticket, _)| ticket.clone()).collect();
        tickets.sort();
        tickets
    }

    /// Lets one request go.
    pub(crate) fn grant(&self, ticket: &Ticket, verdict: Verdict) {
        let mut state = self.state();
        let at = state.waiting.iter().position(|(waiting, _)| waiting == ticket).expect("it waits");
        let (_, gate) = state.waiting.remove(at);
        state.outcome = format!("{verdict:?}");
        // A request whose caller went away is not made any more.
        let _ = gate.send(verdict);
    }

    /// Forgets the requests of a process that stopped. What is already under way to the store stays.
    pub(crate) fn forget(&self, process: usize) {
        self.state().waiting.retain(|(ticket, _)| ticket.process != process || ticket.ask == Ask::LatePut);
    }

    /// Which keys the last request may have changed, and how it ended.
    pub(crate) fn take_effects(&self) -> (Vec<Key>, String) {
        let mut state = self.state();
        (std::mem::take(&mut state.touched), std::mem::take(&mut state.outcome))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it holds the board")
    }

    async fn wait(&self, process: usize, ask: Ask, key: &str) -> Verdict {
        let (gate, granted) = oneshot::channel();
        {
            let mut state = self.state();
            state.arrivals += 1;
            let ticket = Ticket { process, ask, key: key.to_owned(), arrival: state.arrivals };
            state.waiting.push((ticket, gate));
        }
        match granted.await {
            Ok(verdict) => verdict,
            Err(_) => pending().await,
        }
    }

    fn answered<T>(&self, touched: &[Key], answer: &Result<T>) {
        let mut state = self.state();
        state.touched.extend_from_slice(touched);
        let outcome = match answer {
            Ok(_) => "ok".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        state.outcome = format!("{} {outcome}", state.outcome);
    }
}

/// One process's way to the store.
#[derive(Clone, Debug)]
pub(crate) struct Stepped {
    pub(crate) process: usize,
    pub(crate) store: MemoryDriver,
    pub(crate) board: Arc<Board>,
}

impl fmt::Display for Stepped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step({}) over {}", self.process, self.store)
    }
}

fn failure(retryable: bool) -> Error {
    Error::new("step", ErrorKind::Backend { retryable }).because("injected")
}

impl Stepped {
    async fn ask<T, F>(&self, ask: Ask, key: &str, touched: &[Key], call: F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
        T: Send,
    {
        let verdict = self.board.wait(self.process, ask, key).await;
        self.follow(verdict, touched, call).await
    }

    async fn follow<T, F>(&self, verdict: Verdict, touched: &[Key], call: F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
        T: Send,
    {
        if let Verdict::Fail { retryable } = verdict {
            return Err(failure(retryable));
        }
        if verdict == Verdict::Late {
            return Err(failure(true));
        }
        let answer = call.await;
        self.board.answered(touched, &answer);
        match verdict {
            Verdict::ApplyThenFail { retryable } => Err(failure(retryable)),
            Verdict::ApplyThenVanish => pending().await,
            _ => answer,
        }
    }

    fn arrive_late(&self, key: &Key, body: Bytes, mode: PutMode) {
        let (me, key) = (self.clone(), key.clone());
        tokio::spawn(async move {
            me.board.wait(me.process, Ask::LatePut, key.as_str()).await;
            let answer = me.store.put(&key, body, mode).await;
            me.board.answered(std::slice::from_ref(&key), &answer);
        });
    }
}

#[async_trait]
impl StorageDriver for Stepped {
    fn name(&self) -> &'static str {
        "step"
    }

    fn capabilities(&self) -> &Capabilities {
        self.store.capabilities()
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        self.ask(Ask::Stat, key.as_str(), &[], self.store.stat(key)).await
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        self.ask(Ask::Get, key.as_str(), &[], self.store.get(key, range)).await
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        let verdict = self.board.wait(self.process, Ask::Put, key.as_str()).await;
        if verdict == Verdict::Late {
            self.arrive_late(key, body.clone(), mode.clone());
        }
        self.follow(verdict, std::slice::from_ref(key), self.store.put(key, body, mode)).await
    }

    fn prepare_put(&self, key: &Key, body: &Bytes) -> PreparedPut {
        self.store.prepare_put(key, body)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        let touched = std::slice::from_ref(key);
        self.ask(Ask::Delete, key.as_str(), touched, self.store.delete(key, version)).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        let first = keys.first().map(Key::as_str).unwrap_or_default();
        self.ask(Ask::DeleteMany, first, keys, self.store.delete_many(keys)).await
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        self.ask(Ask::List, prefix, &[], self.store.list(prefix, start_after, limit)).await
    }

    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        self.store.presign_get(key, options).await
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        self.ask(Ask::Begin, key.as_str(), &[], self.store.upload_begin(key)).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        let call = self.store.upload_part(upload, number, body);
        self.ask(Ask::Part, upload.key.as_str(), &[], call).await
    }

    async fn upload_flush(&self, upload: &Upload) -> Result<()> {
        self.ask(Ask::Flush, upload.key.as_str(), &[], self.store.upload_flush(upload)).await
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        let touched = std::slice::from_ref(&upload.key);
        let call = self.store.upload_complete(upload, parts);
        self.ask(Ask::Complete, upload.key.as_str(), touched, call).await
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        self.ask(Ask::Abort, upload.key.as_str(), &[], self.store.upload_abort(upload)).await
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        self.ask(Ask::ListUploads, prefix, &[], self.store.list_uploads(prefix, start_after, limit)).await
    }
}
