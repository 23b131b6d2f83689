//! What a case is given, and how one case is run.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;

use super::{CASES, Case};
use crate::{
    Capabilities, ErrorKind, Key, ListPage, ObjectMeta, Part, PutMode, ReadRange, SharedDriver,
    StorageDriverExt, Upload,
};

/// A driver under test.
pub struct Subject {
    driver: SharedDriver,
    other: SharedDriver,
    guards: Vec<Box<dyn Any + Send>>,
}

impl Subject {
    /// A driver, which also stands in for the second process.
    pub fn new(driver: SharedDriver) -> Self {
        Self { other: Arc::clone(&driver), driver, guards: Vec::new() }
    }

    /// Gives the second process a handle of its own, opened on the same store.
    #[must_use]
    pub fn with_second(mut self, other: SharedDriver) -> Self {
        self.other = other;
        self
    }

    /// Keeps something alive until the case is over: a temporary directory, a server.
    #[must_use]
    pub fn keeping(mut self, guard: impl Any + Send) -> Self {
        self.guards.push(Box::new(guard));
        self
    }
}

/// One run of one case: two handles on one store, and a prefix nobody else uses.
pub struct Trial {
    /// The handle most cases use.
    pub driver: SharedDriver,
    /// A second handle on the same store, as another process would hold it.
    pub other: SharedDriver,
    namespace: String,
}

/// Runs the case called `name` on what `make` answers. Panics where the driver fails it. `make` answers a
/// [`Subject`], or an `Option` of one: `None` where there is no server to try it on, after saying so.
pub fn run<S: Into<Option<Subject>>, F: Future<Output = S>>(name: &str, make: impl FnOnce() -> F) {
    let case = CASES.iter().find(|case| case.name == name).expect("the macro names cases of the table");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a test can have a runtime");
    runtime.block_on(async {
        if let Some(subject) = make().await.into() {
            attempt(case, &subject).await;
        }
    });
}

async fn attempt(case: &Case, subject: &Subject) {
    if !(case.requires)(subject.driver.capabilities()) {
        #[expect(clippy::print_stdout, reason = "a skipped case is told on the test's own output")]
        {
            println!("skipped: {} does not declare what {:?} needs", subject.driver, case.sentence);
        }
        return;
    }
    let trial = Trial {
        driver: Arc::clone(&subject.driver),
        other: Arc::clone(&subject.other),
        namespace: format!("conformance-{}/{}", random_word(), case.name),
    };
    (case.run)(trial).await;
}

fn random_word() -> String {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    format!("{:016x}", u64::from_le_bytes(bytes))
}

impl Trial {
    /// The prefix of this trial, with a slash at its end.
    pub(super) fn prefix(&self) -> String {
        format!("{}/", self.namespace)
    }

    pub(super) fn key(&self, name: &str) -> Key {
        format!("{}/{name}", self.namespace).parse().expect("cases use valid names")
    }

    pub(super) fn capabilities(&self) -> &Capabilities {
        self.driver.capabilities()
    }

    /// A size for parts that are not the last: allowed by the store, and small where it may be.
    pub(super) fn part_size(&self) -> usize {
        usize::try_from(self.capabilities().min_part.max(5000)).expect("parts fit in memory")
    }

    pub(super) async fn put(&self, key: &Key, content: &Bytes) -> ObjectMeta {
        self.driver
            .put(key, content.clone(), PutMode::Overwrite)
            .await
            .expect("an unconditional put succeeds")
    }

    pub(super) async fn read(&self, key: &Key) -> Option<Bytes> {
        self.driver.read(key).await.expect("a read tells the object or its absence").map(|(bytes, _)| bytes)
    }

    pub(super) async fn range(&self, key: &Key, range: ReadRange) -> Bytes {
        let object = self.driver.get(key, range).await.expect("the range holds bytes");
        let length = object.range.end - object.range.start;
        let bytes = object.body.into_bytes().await.expect("the body arrives");
        assert_eq!(bytes.len() as u64, length, "the body has the length its range tells");
        bytes
    }

    pub(super) async fn assert_absent(&self, key: &Key) {
        for handle in [&self.driver, &self.other] {
            let stat = handle.stat(key).await.expect_err("nothing is there");
            assert_eq!(stat.kind(), ErrorKind::NotFound, "{stat}");
            let get = handle.get(key, ReadRange::Whole).await.expect_err("nothing is there");
            assert_eq!(get.kind(), ErrorKind::NotFound, "{get}");
        }
        let page = self.list(key.as_str(), None, 10).await;
        assert!(page.objects.iter().all(|meta| meta.key != *key), "{key} is listed");
    }

    pub(super) async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> ListPage {
        let page = self.driver.list(prefix, start_after, limit).await.expect("a listing succeeds");
        assert!(page.objects.len() <= limit, "a page keeps to its limit");
        page
    }

    /// All keys below `prefix` (given without the trial's own), as listed in pages of `limit`.
    pub(super) async fn names(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Vec<String> {
        let whole_prefix = format!("{}{prefix}", self.prefix());
        let mut start = start_after.map(|start| format!("{}{start}", self.prefix()));
        let mut names = Vec::new();
        loop {
            let page = self.list(&whole_prefix, start.as_deref(), limit).await;
            let Some(last) = page.objects.last() else {
                assert!(!page.more, "an empty page leads nowhere, so nothing may follow it");
                return names;
            };
            start = Some(last.key.to_string());
            names.extend(page.objects.iter().map(|meta| meta.key.as_str()[self.prefix().len()..].to_owned()));
            if !page.more {
                return names;
            }
        }
    }

    pub(super) async fn begin(&self, key: &Key) -> Upload {
        self.driver.upload_begin(key).await.expect("an upload begins")
    }

    pub(super) async fn part(&self, upload: &Upload, number: u32, content: &Bytes) -> Part {
        let part = self
            .driver
            .upload_part(upload, number, vec![content.clone()])
            .await
            .expect("a part is acknowledged");
        assert_eq!((part.number, part.size), (number, content.len() as u64), "the part is the one sent");
        part
    }
}

/// Bytes that differ by `seed` and have no short period, so that no piece can pass for another.
pub(super) fn pattern(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

/// Fails unless both are the same bytes, without printing megabytes.
pub(super) fn assert_same(found: &Bytes, expected: &Bytes) {
    if found == expected {
        return;
    }
    assert_eq!(found.len(), expected.len(), "the length differs");
    let first = found.iter().zip(expected.iter()).position(|(a, b)| a != b);
    panic!("the content differs from offset {first:?} on");
}
