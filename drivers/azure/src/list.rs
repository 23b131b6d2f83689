//! Listings: of objects, of uploads in progress, and of the marks aborted uploads leave.

use std::sync::atomic::Ordering::Relaxed;
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
    let mut entries = Vec::new();
    let Some(mut walk) = walk(store, prefix, start_after, PAGE) else { return Ok(entries) };
    walk.uncommitted = true;
    loop {
        let items = walk.next(store).await?;
        notice_ignored_start(store, &mut walk, &items);
        for item in items {
            let Some(object) = object(store, &item) else { continue };
            // Azure does not tell blobs that only wait from empty ones; the look at their blocks does.
            if object.size > 0 || Some(object.key.as_str()) <= start_after {
                continue;
            }
            if entries.len() >= limit {
                return Ok(entries);
            }
            entries.extend(waiting(store, object.key).await?);
            entries.truncate(limit);
        }
        if walk.marker.is_none() {
            return Ok(entries);
        }
    }
}

/// The uploads whose blocks wait on a name.
async fn waiting(store: &Store, key: Key) -> Result<Vec<UploadEntry>> {
    let Some(list) = block_list(store, &key, BlockListType::All).await? else { return Ok(Vec::new()) };
    if !list.committed_blocks.unwrap_or_default().is_empty() {
        return Ok(Vec::new());
    }
    let ids = uploads_of(list.uncommitted_blocks.unwrap_or_default());
    let entry =
        |id: String| UploadEntry { initiated: began_at(&id), upload: Upload { key: key.clone(), id } };
    Ok(ids.into_iter().filter(|id| !id.is_empty()).map(entry).collect())
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
