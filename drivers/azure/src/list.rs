//! Listings: of objects, of uploads in progress, and of the marks aborted uploads leave.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use azure_storage_blob::models::{
    BlobContainerClientListBlobsOptions, BlobItem, BlockListType, ListBlobsIncludeItem,
};
use entrepot_storage::{Error, Key, ListPage, ObjectMeta, Result, Upload, UploadEntry};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::client::{Store, meta};
use crate::error::{self, NAME};
use crate::upload::{MARKS, began_at, block_list, uploads_of};

/// The most names one answer holds.
const PAGE: usize = 5000;
/// Marks are kept this long: waiting blocks die after a week, and no writer is asleep for longer.
const MARK_LIFE: Duration = Duration::from_secs(30 * 86_400);
/// How many marks are looked at before the old ones of them are deleted.
const MARKS_AT_ONCE: usize = 100;
/// Deletes of marks in flight at once.
const DELETES: usize = 16;

/// How long one search for uploads goes on; a listing has fifteen seconds in all (`decorate::Timeouts`).
const SEARCH: Duration = Duration::from_secs(8);
/// How long old marks are cleared away before a search. What is left is the next listing's.
const CLEARING: Duration = Duration::from_secs(4);
/// Looks at blocks in flight at once.
const LOOKUPS: usize = 16;

/// Where in the listing we are, and what is asked for.
struct Walk {
    prefix: String,
    start: Option<String>,
    marker: Option<String>,
    page: usize,
    uncommitted: bool,
}

impl Walk {
    /// The next answer. `None` in `marker` afterwards means that it was the last.
    async fn next(&mut self, store: &Store) -> Result<Vec<BlobItem>> {
        let options = BlobContainerClientListBlobsOptions {
            include: self.uncommitted.then(|| vec![ListBlobsIncludeItem::UncommittedBlobs]),
            prefix: Some(self.prefix.clone()).filter(|prefix| !prefix.is_empty()),
            start_from: self.start.clone(),
            marker: self.marker.take(),
            maxresults: i32::try_from(self.page).ok(),
            ..Default::default()
        };
        let failed = |error: azure_core::Error| error::meaning(&error);
        let mut pages = store.container.list_blobs(Some(options)).map_err(failed)?.into_pages();
        let nonsense = || Error::new(NAME, entrepot_storage::ErrorKind::Backend { retryable: true });
        let page = pages.try_next().await.map_err(failed)?.ok_or_else(nonsense)?;
        let page = page.into_model().map_err(failed)?;
        self.marker = page.next_marker.filter(|marker| !marker.is_empty());
        Ok(page.blob_items)
    }
}

pub(crate) async fn list(
    store: &Store,
    prefix: &str,
    start_after: Option<&str>,
    limit: usize,
) -> Result<ListPage> {
    let mut page = ListPage::default();
    let (Some(mut walk), true) = (walk(store, prefix, start_after, limit), limit > 0) else {
        return Ok(page);
    };
    loop {
        let items = walk.next(store).await?;
        notice_ignored_start(store, &mut walk, &items);
        for item in items {
            let Some(object) = object(store, &item) else { continue };
            if !object.key.as_str().starts_with(prefix) || Some(object.key.as_str()) <= start_after {
                continue;
            }
            if page.objects.len() == limit {
                page.more = true;
                return Ok(page);
            }
            page.objects.push(object);
        }
        if walk.marker.is_none() {
            return Ok(page);
        }
    }
}

/// How to walk to what is wanted; `None` where no key can be there.
fn walk(store: &Store, prefix: &str, start_after: Option<&str>, limit: usize) -> Option<Walk> {
    let is_possible = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let is_before = |start: &str| start > prefix && !start.starts_with(prefix);
    if !prefix.bytes().all(is_possible) || start_after.is_some_and(is_before) {
        return None;
    }
    // Whatever no key can hold is cut off: a start that is too early only costs.
    let start = start_after.filter(|start| *start > prefix).map(|start| {
        let end = start.bytes().position(|byte| !is_possible(byte)).unwrap_or(start.len());
        format!("{}{}", store.root, &start[..end])
    });
    let is_slow = start.is_some() && store.ignores_start.load(Relaxed);
    // One for the start itself, which Azure includes, and one to tell whether there are more.
    let page = if is_slow { PAGE } else { limit.saturating_add(2).min(PAGE) };
    Some(Walk { prefix: format!("{}{prefix}", store.root), start, marker: None, page, uncommitted: false })
}

/// Some versions of the service answer from the beginning whatever the start. Then large pages are skipped
/// through, from now on.
fn notice_ignored_start(store: &Store, walk: &mut Walk, items: &[BlobItem]) {
    let first = items.first().and_then(|item| item.name.as_deref());
    if let (Some(first), Some(start)) = (first, walk.start.as_deref())
        && first < start
        && walk.page < PAGE
    {
        walk.page = PAGE;
        if !store.ignores_start.swap(true, Relaxed) {
            tracing::warn!(
                store = store.place,
                "the store ignores where a listing starts: listings are slow"
            );
        }
    }
}

fn object(store: &Store, item: &BlobItem) -> Option<ObjectMeta> {
    let key = store.key_of(item.name.as_deref()?)?;
    let properties = item.properties.as_ref()?;
    let size = properties.content_length.unwrap_or_default();
    Some(meta(&key, size, properties.etag.as_ref(), properties.last_modified))
}

/// Azure lists what waits among all that is there, so a search may be long: it ends in time with what it found,
/// in the order of the keys. The caller goes on after the last; where none was found, the next search does.
pub(crate) async fn list_uploads(
    store: &Store,
    prefix: &str,
    start_after: Option<&str>,
    limit: usize,
) -> Result<Vec<UploadEntry>> {
    if start_after.is_none() {
        clear_marks_within(CLEARING, store).await;
    }
    search_within(SEARCH, store, prefix, start_after, limit).await
}

async fn search_within(
    time: Duration,
    store: &Store,
    prefix: &str,
    start_after: Option<&str>,
    limit: usize,
) -> Result<Vec<UploadEntry>> {
    let left_off = store.left_off.take(prefix);
    let start = start_after.max(left_off.as_deref());
    let mut search = Search { entries: Vec::new(), seen: start.map(str::to_owned), limit };
    match tokio::time::timeout(time, search.run(store, prefix, start)).await {
        Ok(outcome) => outcome?,
        Err(_) if search.entries.is_empty() => {
            tracing::info!(
                store = store.place,
                seen = search.seen,
                "no upload in progress was found in time"
            );
            store.left_off.keep(prefix, search.seen);
        }
        Err(_) => {}
    }
    Ok(search.entries)
}

/// A search for uploads in progress, which may be cut off anywhere.
struct Search {
    entries: Vec<UploadEntry>,
    /// How far everything was looked at.
    seen: Option<String>,
    limit: usize,
}

impl Search {
    async fn run(&mut self, store: &Store, prefix: &str, start: Option<&str>) -> Result<()> {
        let Some(mut walk) = walk(store, prefix, start, PAGE).filter(|_| self.limit > 0) else {
            return Ok(());
        };
        walk.uncommitted = true;
        loop {
            let items = walk.next(store).await?;
            notice_ignored_start(store, &mut walk, &items);
            let last = items.last().and_then(|item| item.name.as_deref()?.strip_prefix(&store.root));
            let last = last.map(str::to_owned);
            // Azure does not tell blobs that only wait from empty ones; the look at their blocks does.
            let is_wanted = |object: &ObjectMeta| object.size == 0 && Some(object.key.as_str()) > start;
            let nameless = items.iter().filter_map(|item| object(store, item)).filter(is_wanted);
            let keys: Vec<Key> = nameless.map(|object| object.key).collect();
            let lookups = stream::iter(keys).map(|key| waiting(store, key));
            let mut found = lookups.buffered(LOOKUPS.min(self.limit));
            while let Some(found) = found.next().await {
                let (key, entries) = found?;
                if !self.take(entries) {
                    return Ok(());
                }
                self.seen = Some(key.as_str().to_owned());
            }
            self.seen = last.max(self.seen.take());
            if walk.marker.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes the uploads of one key, and tells whether there is room for more. They stay together, for the
    /// caller goes on after a key; only the first may be too many.
    fn take(&mut self, entries: Vec<UploadEntry>) -> bool {
        let fits = self.entries.len() + entries.len() <= self.limit;
        if fits || self.entries.is_empty() {
            self.entries.extend(entries);
            self.entries.truncate(self.limit);
        }
        fits && self.entries.len() < self.limit
    }
}

/// Where searches ran out of time that had found nothing, by what they were for.
#[derive(Debug, Default)]
pub(crate) struct LeftOff(Mutex<BTreeMap<String, String>>);

impl LeftOff {
    fn take(&self, prefix: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(prefix)
    }

    fn keep(&self, prefix: &str, seen: Option<String>) {
        let Some(seen) = seen else { return };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(prefix.to_owned(), seen);
    }
}

/// The uploads whose blocks wait on a name.
async fn waiting(store: &Store, key: Key) -> Result<(Key, Vec<UploadEntry>)> {
    let list = block_list(store, &key, BlockListType::All).await?.unwrap_or_default();
    if !list.committed_blocks.unwrap_or_default().is_empty() {
        return Ok((key, Vec::new()));
    }
    let ids = uploads_of(list.uncommitted_blocks.unwrap_or_default());
    let entry =
        |id: String| UploadEntry { initiated: began_at(&id), upload: Upload { key: key.clone(), id } };
    let entries = ids.into_iter().filter(|id| !id.is_empty()).map(entry).collect();
    Ok((key, entries))
}

/// A listing goes on whatever becomes of the marks.
async fn clear_marks_within(time: Duration, store: &Store) {
    match tokio::time::timeout(time, clear_marks(store)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "marks of aborted uploads could not be cleared away"),
        Err(_) => {
            tracing::info!(store = store.place, "old marks are left for the next listing to clear away")
        }
    }
}

/// Deletes marks that have outlived every block and writer they could be for. Their names begin with the time
/// of the upload, so the oldest uploads come first, but a mark is as old as the abort: an old one may follow a
/// young one. None follows an upload that began within the life of a mark.
async fn clear_marks(store: &Store) -> Result<()> {
    let (prefix, now) = (format!("{}{MARKS}", store.root), SystemTime::now());
    let mut walk =
        Walk { prefix: prefix.clone(), start: None, marker: None, page: MARKS_AT_ONCE, uncommitted: false };
    let is_old = |at: SystemTime| now.duration_since(at).is_ok_and(|age| age > MARK_LIFE);
    let mut outcome = Ok(());
    loop {
        let marks = walk.next(store).await?;
        let last = marks.last().and_then(|mark| began_at(mark.name.as_deref()?.strip_prefix(&prefix)?));
        let dated = marks.into_iter().filter_map(|mark| Some((mark.name?, mark.properties?.last_modified?)));
        let old = dated.filter(|(_, marked)| is_old((*marked).into())).map(|(name, _)| name);
        outcome = outcome.and(delete_marks(store, old.collect()).await);
        if walk.marker.is_none() || last.is_some_and(|began| !is_old(began)) {
            return outcome;
        }
    }
}

/// Tries all of them and tells the first failure: one mark that cannot be deleted (a legal hold) would keep all that
/// follow it for good.
async fn delete_marks(store: &Store, names: Vec<String>) -> Result<()> {
    let deletes = stream::iter(names).map(async |name| {
        match store.container.blob_client(&name).delete(None).await {
            // Another replica clears too.
            Err(error) if error::code(&error) == Some("BlobNotFound") => Ok(()),
            outcome => outcome.map(|_| ()).map_err(|error| error::meaning(&error)),
        }
    });
    deletes.buffer_unordered(DELETES).fold(Ok(()), async |first: Result<()>, next| first.and(next)).await
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;
    use std::sync::Arc;

    use azure_core::time::to_rfc7231;

    use super::*;
    use crate::canned::{Asked, Canned, Reply};

    const TIME: Duration = Duration::from_secs(6);
    /// Longer than a search goes on.
    const TOO_LONG: Duration = Duration::from_secs(60);

    fn keys(numbers: std::ops::Range<usize>) -> Vec<String> {
        numbers.map(|number| format!("data/{number:03}")).collect()
    }

    /// A page of names that wait, or are empty.
    fn page(names: &[String]) -> Reply {
        let blob = |name: &String| {
            format!(
                "<Blob><Name>{name}</Name><Properties><Content-Length>0</Content-Length></Properties></Blob>"
            )
        };
        let blobs: String = names.iter().map(blob).collect();
        Reply::xml(format!("<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker/></EnumerationResults>"))
    }

    /// One block of an upload waits, or one block was committed.
    fn blocks(waits: bool) -> Reply {
        let id = crate::upload::begin(&"data/x".parse().unwrap()).unwrap().id;
        let name = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            format!("00000001-{id}-0123456789abcdef"),
        );
        let block = format!("<Block><Name>{name}</Name><Size>1</Size></Block>");
        let (committed, waiting) = if waits { (String::new(), block) } else { (block, String::new()) };
        Reply::xml(format!(
            "<BlockList><CommittedBlocks>{committed}</CommittedBlocks>\
             <UncommittedBlocks>{waiting}</UncommittedBlocks></BlockList>"
        ))
    }

    /// An account with 40 names, where the first look at one takes too long. Uploads wait on it and behind it,
    /// and on those before it where that is wanted.
    fn account(slow: &'static str, waits: bool) -> Canned {
        Canned::start(move |asked: &Asked| {
            let Some((_, key)) = asked.path.split_once("/images/") else { return page(&keys(0..40)) };
            let is_slow = key == slow && asked.before == 0;
            let reply = blocks(waits || key >= slow);
            if is_slow { reply.after(TOO_LONG) } else { reply }
        })
    }

    fn names(entries: &[UploadEntry]) -> Vec<String> {
        entries.iter().map(|entry| entry.upload.key.as_str().to_owned()).collect()
    }

    /// On a large registry each search ran into its deadline and answered nothing.
    #[tokio::test]
    async fn a_search_that_takes_too_long_tells_what_it_found_and_the_caller_goes_on_behind_it() {
        let account = account("data/020", true);
        let store = account.store();

        let first = search_within(TIME, &store, "data/", None, 100).await.unwrap();
        let after = first.last().unwrap().upload.key.clone();
        let rest = search_within(TOO_LONG, &store, "data/", Some(after.as_str()), 100).await.unwrap();

        assert_eq!(names(&first), keys(0..20));
        assert_eq!(names(&rest), keys(20..40));
    }

    #[tokio::test]
    async fn a_search_that_found_nothing_in_time_is_gone_on_with_by_the_next() {
        let account = account("data/020", false);
        let store = account.store();

        let first = search_within(TIME, &store, "data/", None, 100).await.unwrap();
        let looked = account.asked();
        let second = search_within(TOO_LONG, &store, "data/", None, 100).await.unwrap();

        assert!(first.is_empty());
        assert_eq!(names(&second), keys(20..40));
        let again: Vec<_> = account.asked().split_off(looked.len());
        assert!(!again.iter().any(|path| path.ends_with("data/000")), "{again:?}");
    }

    #[tokio::test]
    async fn a_page_of_uploads_is_as_long_as_it_was_asked_to_be() {
        let account = account("data/999", true);
        let store = account.store();

        let entries = search_within(TOO_LONG, &store, "data/", Some("data/004"), 7).await.unwrap();

        assert_eq!(names(&entries), keys(5..12));
    }

    /// Marks by name, with when they were left.
    type Marks = Arc<Mutex<BTreeMap<String, SystemTime>>>;

    const DAY: Duration = Duration::from_secs(86_400);

    /// The mark of an upload that began and was aborted so many days ago.
    fn mark(number: usize, began: u32, aborted: u32) -> (String, SystemTime) {
        let now = SystemTime::now();
        let began = (now - began * DAY).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        (format!("{MARKS}{began:08x}{number:016x}"), now - aborted * DAY)
    }

    /// An account that holds these marks and lists them in pages, but for the requests about one of them that
    /// `odd` answers.
    fn marked(marks: &Marks, odd: impl Fn(&Asked, &str) -> Option<Reply> + Send + Sync + 'static) -> Canned {
        let marks = Arc::clone(marks);
        Canned::start(move |asked: &Asked| {
            let mut marks = marks.lock().unwrap();
            let Some((_, name)) = asked.path.split_once("/images/") else {
                return page_of_marks(&marks, asked);
            };
            let usual = || match marks.remove(name) {
                Some(_) => Reply::new(202),
                None => Reply::refusal(404, "BlobNotFound"),
            };
            odd(asked, name).unwrap_or_else(usual)
        })
    }

    fn page_of_marks(marks: &BTreeMap<String, SystemTime>, asked: &Asked) -> Reply {
        let after = asked.field("marker").map_or(Bound::Unbounded, Bound::Excluded);
        let limit = asked.field("maxresults").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE);
        let mut behind = marks.range::<String, _>((after, Bound::Unbounded));
        let page: Vec<_> = behind.by_ref().take(limit).collect();
        let next = behind.next().and(page.last()).map(|(name, _)| name.as_str()).unwrap_or_default();
        let blob = |(name, marked): &(&String, &SystemTime)| {
            let marked = to_rfc7231(&(**marked).into());
            format!(
                "<Blob><Name>{name}</Name><Properties><Last-Modified>{marked}</Last-Modified></Properties></Blob>"
            )
        };
        let blobs: String = page.iter().map(blob).collect();
        Reply::xml(format!(
            "<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
        ))
    }

    /// A hundred at most went with each listing, and a registry left more a day.
    #[tokio::test]
    async fn all_old_marks_are_cleared_and_the_young_ones_stay() {
        let young =
            (0..5).map(|number| mark(number, 31, 29)).chain((0..120).map(|number| mark(number, 1, 1)));
        let young: BTreeMap<_, _> = young.collect();
        let old =
            (0..50).map(|number| mark(number, 40, 40)).chain((10..210).map(|number| mark(number, 31, 31)));
        let marks: Marks = Arc::new(Mutex::new(old.collect()));
        marks.lock().unwrap().extend(young.clone());
        let account = marked(&marks, |_, _| None);

        clear_marks_within(TOO_LONG, &account.store()).await;

        assert_eq!(*marks.lock().unwrap(), young);
        let listed = account.asked().iter().filter(|path| path.ends_with("/images")).count();
        assert_eq!(listed, 3, "what lies behind the first young upload is not looked at");
    }

    #[tokio::test]
    async fn clearing_ends_in_time_and_goes_on_with_the_next_listing() {
        let marks: BTreeMap<_, _> = (0..250).map(|number| mark(number, 40, 40)).collect();
        let slow = marks.keys().nth(5).cloned().unwrap();
        let marks: Marks = Arc::new(Mutex::new(marks));
        let account = marked(&marks, move |asked, name| {
            let is_slow = asked.before == 0 && name == slow;
            is_slow.then(|| Reply::refusal(503, "ServerBusy").after(TOO_LONG))
        });

        clear_marks_within(TIME, &account.store()).await;
        let left = marks.lock().unwrap().len();
        clear_marks_within(TOO_LONG, &account.store()).await;

        // A whole page lies behind the one that was waited for, and what went beside it is gone.
        assert!((150..250).contains(&left), "{left}");
        assert!(marks.lock().unwrap().is_empty());
    }

    /// Whoever found a mark gone gave up all the others.
    #[tokio::test]
    async fn marks_that_another_replica_cleared_are_no_failure() {
        let marks: Marks = Arc::new(Mutex::new((0..150).map(|number| mark(number, 40, 40)).collect()));
        let account = marked(&marks, |_, _| None);
        let store = account.store();

        let (one, other) = tokio::join!(clear_marks(&store), clear_marks(&store));

        assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
        assert!(marks.lock().unwrap().is_empty());
    }

    /// It was the end of each clearing.
    #[tokio::test]
    async fn a_mark_that_may_not_be_deleted_is_told_and_keeps_no_other() {
        let all: BTreeMap<_, _> = (0..250).map(|number| mark(number, 40, 40)).collect();
        let held = all.keys().nth(5).cloned().unwrap();
        let marks: Marks = Arc::new(Mutex::new(all));
        let name = held.clone();
        let account = marked(&marks, move |_, asked_for| {
            (asked_for == name).then(|| Reply::refusal(409, "BlobImmutableDueToPolicy"))
        });

        let told = clear_marks(&account.store()).await.unwrap_err();

        assert!(told.to_string().contains("BlobImmutableDueToPolicy"), "{told}");
        assert!(marks.lock().unwrap().keys().eq([&held]));
    }

    #[test]
    fn uploads_of_one_key_stay_on_one_page() {
        let entry = |id: &str| UploadEntry {
            initiated: None,
            upload: Upload { key: "data/x".parse().unwrap(), id: id.into() },
        };
        let mut search = Search { entries: Vec::new(), seen: None, limit: 2 };

        assert!(search.take(vec![entry("1")]));
        assert!(!search.take(vec![entry("2"), entry("3")]));

        assert_eq!(search.entries.len(), 1);
    }
}
