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
/// How many old marks one listing of uploads clears away.
const MARKS_AT_ONCE: usize = 100;

/// How long one search for uploads goes on; a listing has fifteen seconds in all (`decorate::Timeouts`).
const SEARCH: Duration = Duration::from_secs(8);
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
    if start_after.is_none()
        && let Err(error) = clear_marks(store).await
    {
        tracing::warn!(%error, "marks of aborted uploads could not be cleared away");
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

/// Deletes marks that have outlived every block and writer they could be for. Their names begin with the
/// time of the upload, so the oldest come first.
async fn clear_marks(store: &Store) -> Result<()> {
    let prefix = format!("{}{MARKS}", store.root);
    let mut walk =
        Walk { prefix: prefix.clone(), start: None, marker: None, page: MARKS_AT_ONCE, uncommitted: false };
    let is_old = |item: &BlobItem| {
        let marked = item.properties.as_ref().and_then(|properties| properties.last_modified);
        let age = marked.map(|at| SystemTime::now().duration_since(at.into()).unwrap_or_default());
        age.is_some_and(|age| age > MARK_LIFE)
    };
    let old: Vec<_> =
        walk.next(store).await?.into_iter().filter(is_old).filter_map(|item| item.name).collect();
    let deletes = stream::iter(old).map(async |name| store.container.blob_client(&name).delete(None).await);
    deletes.buffer_unordered(8).try_for_each(async |_| Ok(())).await.map_err(|error| error::meaning(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canned::{Asked, Canned, Reply};

    const TIME: Duration = Duration::from_secs(2);
    /// Longer than a search goes on.
    const TOO_LONG: Duration = Duration::from_secs(8);

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

        let entries = search_within(TIME, &store, "data/", Some("data/004"), 7).await.unwrap();

        assert_eq!(names(&entries), keys(5..12));
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
