//! Stores that break their word, for whoever has to notice it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use entrepot_storage::{
    Capabilities, Error, ErrorKind, Key, ListPage, Object, ObjectMeta, Part, PreparedPut, PresignOptions,
    PutMode, ReadRange, Result, SharedDriver, SignedUrl, StorageDriver, Upload, UploadEntry, Version,
};

use crate::MemoryDriver;
use crate::driver::NAME;

/// How a store breaks its word. Each is the habit of some store, gateway or cache in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Conditional puts and deletes succeed whatever stands there.
    IgnoresConditions,
    /// `IfAbsent` is honoured and `IfMatch` is not.
    IgnoresIfMatch,
    /// `IfMatch` is refused whatever version it names.
    RefusesIfMatch,
    /// Conditions are looked at first and the write comes later, so that a race has many winners.
    ChecksThenWrites,
    /// An object that was once found absent stays absent to readers.
    RemembersAbsence,
    /// A listing shows what was there before the last write or delete.
    ListsLate,
    /// Listings are not in byte order.
    ListsBackwards,
    /// Completing takes the latest part of each number, whatever its tag.
    TakesLateParts,
    /// An upload that was completed is unknown afterwards.
    ForgetsCompletions,
    /// Aborting does nothing.
    IgnoresAborts,
    /// The clock is ahead by this.
    ClockAhead(Duration),
    /// A directory is listed beside the objects in it, as by an account with a hierarchical namespace.
    ListsDirectories,
    /// Each conditional put whose number is a multiple of this is applied whatever stands there.
    ForgetsACondition(u32),
    /// A listing is answered as it was the first time, until something is changed through the same handle: a
    /// cache in each process.
    ListsFromACache,
}

/// A memory store with one flaw. Its name is not the memory driver's, so nobody takes it for granted.
#[derive(Debug)]
pub struct Flawed {
    inner: MemoryDriver,
    flaw: Flaw,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    absent: HashSet<Key>,
    listed: Vec<ObjectMeta>,
    latest: HashMap<(String, u32), Part>,
    completed: HashSet<String>,
    conditional_puts: u32,
    pages: HashMap<(String, Option<String>, usize), ListPage>,
}

impl Flawed {
    /// `inner` with `flaw`.
    pub fn new(inner: MemoryDriver, flaw: Flaw) -> Self {
        Self { inner, flaw, memory: Mutex::default() }
    }

    /// A handle as the rest of the program holds drivers.
    pub fn shared(inner: MemoryDriver, flaw: Flaw) -> SharedDriver {
        Arc::new(Self::new(inner, flaw))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forgets(&self, mode: &PutMode) -> bool {
        match self.flaw {
            Flaw::IgnoresConditions => true,
            Flaw::IgnoresIfMatch => matches!(mode, PutMode::IfMatch(_)),
            _ => false,
        }
    }

    /// Whether it is the turn of a condition that is forgotten. Others go first, as on a store that takes time.
    async fn forgets_this_time(&self, every: u32) -> bool {
        let count = {
            let mut memory = self.memory();
            memory.conditional_puts += 1;
            memory.conditional_puts
        };
        pending_once().await;
        count.is_multiple_of(every)
    }

    /// A listing with every directory that something lies in.
    async fn list_with_directories(
        &self,
        prefix: &str,
        start: Option<&str>,
        limit: usize,
    ) -> Result<ListPage> {
        let objects = self.inner.list("", None, usize::MAX).await?.objects;
        let mut all: BTreeMap<String, ObjectMeta> = BTreeMap::new();
        for meta in objects {
            for (end, _) in meta.key.as_str().match_indices('/') {
                let directory = &meta.key.as_str()[..end];
                if let Ok(key) = directory.parse() {
                    all.insert(directory.to_owned(), ObjectMeta { key, size: 0, ..meta.clone() });
                }
            }
            all.insert(meta.key.as_str().to_owned(), meta);
        }
        let wanted =
            |name: &String| name.starts_with(prefix) && start.is_none_or(|start| name.as_str() > start);
        let mut wanted = all.into_iter().filter(|(name, _)| wanted(name)).map(|(_, meta)| meta);
        let objects = wanted.by_ref().take(limit).collect();
        Ok(ListPage { objects, more: wanted.next().is_some() })
    }

    /// Keeps what a late listing will show, and forgets what a cache has kept.
    async fn before_a_change(&self) -> Result<()> {
        self.memory().pages.clear();
        if self.flaw == Flaw::ListsLate {
            let listed = self.inner.list("", None, usize::MAX).await?.objects;
            self.memory().listed = listed;
        }
        Ok(())
    }

    fn overlook<T>(&self, key: &Key, answer: Result<T>) -> Result<T> {
        if self.flaw != Flaw::RemembersAbsence {
            return answer;
        }
        let mut memory = self.memory();
        if matches!(&answer, Err(error) if error.is_not_found()) {
            memory.absent.insert(key.clone());
        }
        match memory.absent.contains(key) {
            true => Err(Error::new(NAME, ErrorKind::NotFound).at(key)),
            false => answer,
        }
    }
}

/// Lets every other call of the same task go first, under any executor.
async fn pending_once() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

impl fmt::Display for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flawed({}, {:?})", self.inner, self.flaw)
    }
}

#[async_trait]
impl StorageDriver for Flawed {
    fn name(&self) -> &'static str {
        "flawed"
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        let mut meta = self.overlook(key, self.inner.stat(key).await)?;
        if let Flaw::ClockAhead(offset) = self.flaw {
            meta.modified = meta.modified.map(|modified| modified + offset);
        }
        Ok(meta)
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        self.overlook(key, self.inner.get(key, range).await)
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        self.before_a_change().await?;
        if self.forgets(&mode) {
            return self.inner.put(key, body, PutMode::Overwrite).await;
        }
        if self.flaw == Flaw::RefusesIfMatch && matches!(mode, PutMode::IfMatch(_)) {
            return Err(Error::new(NAME, ErrorKind::Precondition).at(key));
        }
        if self.flaw == Flaw::ChecksThenWrites && mode != PutMode::Overwrite {
            let (scratch, probe) = (self.inner.fork(), body.clone());
            scratch.put(key, probe, mode).await?;
            pending_once().await;
            return self.inner.put(key, body, PutMode::Overwrite).await;
        }
        if let Flaw::ForgetsACondition(every) = self.flaw
            && mode != PutMode::Overwrite
            && self.forgets_this_time(every).await
        {
            return self.inner.put(key, body, PutMode::Overwrite).await;
        }
        self.inner.put(key, body, mode).await
    }

    fn prepare_put(&self, key: &Key, body: &Bytes) -> PreparedPut {
        self.inner.prepare_put(key, body)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.before_a_change().await?;
        let version = if self.flaw == Flaw::IgnoresConditions { None } else { version };
        self.inner.delete(key, version).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        self.inner.delete_many(keys).await
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        let mut page = self.inner.list(prefix, start_after, limit).await?;
        match self.flaw {
            Flaw::ListsDirectories => page = self.list_with_directories(prefix, start_after, limit).await?,
            Flaw::ListsFromACache => {
                let asked = (prefix.to_owned(), start_after.map(str::to_owned), limit);
                page = self.memory().pages.entry(asked).or_insert(page).clone();
            }
            Flaw::ListsLate => {
                let listed = self.memory().listed.clone();
                page.objects =
                    listed.into_iter().filter(|meta| meta.key.as_str().starts_with(prefix)).collect();
            }
            Flaw::ListsBackwards => page.objects.reverse(),
            _ => {}
        }
        Ok(page)
    }

    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        self.inner.presign_get(key, options).await
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        self.inner.upload_begin(key).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        let part = self.inner.upload_part(upload, number, body).await?;
        self.memory().latest.insert((upload.id.clone(), number), part.clone());
        Ok(part)
    }

    async fn upload_flush(&self, upload: &Upload) -> Result<()> {
        self.inner.upload_flush(upload).await
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        let known = self.memory().completed.contains(&upload.id);
        if self.flaw == Flaw::ForgetsCompletions && known {
            return Err(Error::new(NAME, ErrorKind::UploadGone).at(&upload.key));
        }
        let mut parts = parts.to_vec();
        if self.flaw == Flaw::TakesLateParts {
            let memory = self.memory();
            for part in &mut parts {
                if let Some(latest) = memory.latest.get(&(upload.id.clone(), part.number)) {
                    *part = latest.clone();
                }
            }
        }
        let completed = self.inner.upload_complete(upload, &parts).await?;
        self.memory().completed.insert(upload.id.clone());
        Ok(completed)
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        match self.flaw {
            Flaw::IgnoresAborts => Ok(()),
            _ => self.inner.upload_abort(upload).await,
        }
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        self.inner.list_uploads(prefix, start_after, limit).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use entrepot_storage::probe::{self, Outcome, Promise, Report};

    use super::*;

    fn block_on<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a test can have a runtime").block_on(test)
    }

    fn at_start(flaw: Flaw) -> Report {
        let store = Flawed::shared(MemoryDriver::new(), flaw);
        block_on(probe::at_start(&store, "probe/1/", SystemTime::now))
    }

    /// As two replicas see one store: what a handle remembers the other does not know.
    fn across(flaw: Flaw) -> Report {
        let memory = MemoryDriver::new();
        let handles = [Flawed::shared(memory.clone(), flaw), Flawed::shared(memory, flaw)];
        block_on(probe::across([&handles[0], &handles[1]], "probe/1/", SystemTime::now))
    }

    fn by_one_handle(flaw: Flaw) -> Report {
        let store = Flawed::shared(MemoryDriver::new(), flaw);
        block_on(probe::run(&store, "probe/1/", SystemTime::now))
    }

    /// What does not hold, by name.
    fn broken(report: &Report) -> Vec<Promise> {
        let broken = report.checks.iter().filter(|check| matches!(check.outcome, Outcome::Broken(_)));
        broken.map(|check| check.promise).collect()
    }

    #[test]
    fn a_store_that_lists_directories_is_found_out_at_start_too() {
        let flaw = Flaw::ListsDirectories;
        let (quick, thorough) = (at_start(flaw), across(flaw));

        let said = Some(Outcome::Broken(probe::DIRECTORIES_LISTED.into()));
        assert_eq!(quick.outcome(Promise::ListAfterWrite).cloned(), said);
        assert_eq!(broken(&quick), [Promise::ListAfterWrite]);
        assert_eq!(thorough.outcome(Promise::ListOrder).cloned(), said);
    }

    #[test]
    fn a_store_that_forgets_a_condition_once_in_a_while_is_found_out() {
        for every in [7, 97, 331] {
            let report = across(Flaw::ForgetsACondition(every));

            assert!(broken(&report).contains(&Promise::OneWinner), "{every}: {report:?}");
        }
    }

    #[test]
    fn only_who_counts_finds_what_is_rarer_than_what_a_start_asks() {
        let report = at_start(Flaw::ForgetsACondition(97));

        assert_eq!(broken(&report), []);
    }

    #[test]
    fn what_each_process_keeps_for_itself_takes_two_handles_to_be_seen() {
        let flaw = Flaw::ListsFromACache;

        assert_eq!(broken(&by_one_handle(flaw)), []);
        assert!(broken(&across(flaw)).contains(&Promise::ListAfterWrite));
    }

    /// A pause before each call, as a store far away takes.
    fn slow(seconds: u64) -> Report {
        let fault = entrepot_storage::decorate::Fault::new(MemoryDriver::new().shared(), "probe", 1);
        let pause = entrepot_storage::decorate::Effect::Delay(Duration::from_secs(seconds));
        fault.controls().add(entrepot_storage::decorate::Rule::new(pause));
        let store: SharedDriver = Arc::new(fault);
        block_on(probe::run(&store, "probe/1/", SystemTime::now))
    }

    #[test]
    fn a_slow_store_is_tried_less_often_and_believed_all_the_same() {
        let report = slow(2);

        assert!(report.is_cut_short);
        assert!(report.checks.iter().all(|check| check.outcome == Outcome::Holds), "{report:?}");
    }
}
