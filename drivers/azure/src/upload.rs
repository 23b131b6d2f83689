//! Uploads: blocks staged on the blob's own name, and a commit that names them.
//!
//! Azure has no uploads, only blocks that wait on a name until a list of them is committed. So:
//!
//! - An upload's id is ours: when it began, and a random word. Beginning one asks nobody.
//! - A block's id is `<part>-<upload>-<random word>`: no block ever replaces another, so an overtaken
//!   writer's late block is a stray, and the commit, which names blocks exactly, leaves it out.
//! - The commit takes only blocks that wait, and only where no object is. Of two commits the second
//!   therefore fails, and looks whether the object consists of the very blocks it wanted.
//! - An abort leaves a mark, `.entrepot/aborted/<upload>`, and then drops the blocks by committing an empty
//!   list and deleting what came of it. A later block finds the mark, or the object: both are looked for
//!   while the block is on its way, so neither costs time.
//!
//! Blocks of two uploads of one key wait side by side. Since dropping one's would drop the other's, an
//! abort then leaves them to wait; they vanish with the commit, or after a week. Completing an upload
//! whose abort met such company is the one thing that is not refused: callers never use a key twice.

use std::collections::BTreeSet;
use std::io::{Read as _, Result as IoResult};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use azure_core::http::{Body, Etag, RequestContent, XmlFormat};
use azure_core::stream::SeekableStream;
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlockBlobClientCommitBlockListOptions, BlockBlobClientStageBlockOptions,
    BlockList, BlockListType, BlockLookupList,
};
use bytes::{Buf as _, Bytes};
use entrepot_storage::{Error, ErrorKind, Key, ObjectMeta, Part, Result, Upload};
use futures_util::future::join3;

use crate::client::{Store, crc64, written};
use crate::error::{self, NAME};
use crate::read;

/// Where aborted uploads are marked. No key has a segment that begins with a dot.
pub(crate) const MARKS: &str = ".entrepot/aborted/";
/// The most parts: what one list may name.
pub(crate) const MAX_PARTS: u32 = 50_000;

/// Eight hex digits for the second it began, so that ids sort by age, and sixteen random ones.
const ID_BYTES: usize = 24;
const BLOCK_ID_BYTES: usize = 8 + 1 + ID_BYTES + 1 + 16;
/// What a part of no bytes is tagged with in place of a random word: Azure has no empty blocks.
const EMPTY: &str = "----------------";

pub(crate) fn begin(key: &Key) -> Result<Upload> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let began = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
    Ok(Upload { key: key.clone(), id: format!("{began:08x}{}", random_word()?) })
}

/// When an upload began, by the clock of the process that began it: Azure dates no waiting blocks.
pub(crate) fn began_at(id: &str) -> Option<SystemTime> {
    let seconds = u32::from_str_radix(id.get(..8)?, 16).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into()))
}

fn random_word() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(NAME, ErrorKind::Backend { retryable: true }).because(error.to_string())
    })?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

pub(crate) async fn part(store: &Store, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
    if number == 0 || number > MAX_PARTS || !is_id(&upload.id) {
        return Err(Error::new(NAME, ErrorKind::Unsupported).at(&upload.key).because("no such part"));
    }
    let size = body.iter().map(|piece| piece.len() as u64).sum();
    let word = if size == 0 { EMPTY.to_owned() } else { random_word()? };
    let tag = format!("{number:08}-{}-{word}", upload.id);
    let (staged, completed, aborted) =
        join3(stage(store, upload, &tag, size, body), is_there(store, &upload.key), is_marked(store, upload))
            .await;
    if completed? || aborted? {
        return Err(gone(upload));
    }
    staged?;
    Ok(Part { number, size, tag })
}

async fn stage(store: &Store, upload: &Upload, tag: &str, size: u64, body: Vec<Bytes>) -> Result<()> {
    if size == 0 {
        return Ok(());
    }
    let checksum = crc64(body.iter().map(AsRef::as_ref)).to_vec();
    let options = BlockBlobClientStageBlockOptions {
        transactional_content_crc64: Some(checksum),
        ..Default::default()
    };
    let stream: Box<dyn SeekableStream> = Box::new(Pieces::new(body));
    let blob = store.blob(&upload.key).block_blob_client();
    let answer = blob.stage_block(tag.as_bytes(), size, Body::from(stream).into(), Some(options)).await;
    answer.map(|_| ()).map_err(|error| error::at(&error, &upload.key))
}

pub(crate) async fn complete(store: &Store, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
    let key = &upload.key;
    if !are_ours(upload, parts) {
        return Err(refusal(store, upload).await);
    }
    let blocks: Vec<_> = parts.iter().filter(|part| part.size > 0).map(|part| part.tag.as_str()).collect();
    match commit(store, key, &blocks).await {
        Ok(answer) => written(key, parts.iter().map(|part| part.size).sum(), &answer),
        Err(error) if error::status(&error) == 409 || error::status(&error) == 412 => {
            completed_before(store, upload, &blocks).await
        }
        // Which of the two Azure looks at first is not documented: that an object is there, or that the blocks
        // no longer wait.
        Err(error) if error::code(&error) == Some("InvalidBlockList") => {
            match completed_before(store, upload, &blocks).await {
                Err(error) if error.kind() == ErrorKind::UploadGone => Err(refusal(store, upload).await),
                outcome => outcome,
            }
        }
        Err(error) => Err(error::at(&error, key)),
    }
}

/// Commits exactly `blocks`, all of which wait, where no object is.
async fn commit(
    store: &Store,
    key: &Key,
    blocks: &[&str],
) -> azure_core::Result<azure_core::http::headers::Headers> {
    let uncommitted = Some(blocks.iter().map(|block| block.as_bytes().to_vec()).collect());
    let list = BlockLookupList { uncommitted, ..Default::default() };
    let content: RequestContent<BlockLookupList, XmlFormat> = list.try_into()?;
    let options =
        BlockBlobClientCommitBlockListOptions { if_none_match: Some(Etag::from("*")), ..Default::default() };
    let answer = store.blob(key).block_blob_client().commit_block_list(content, Some(options)).await?;
    Ok(answer.headers().clone())
}

/// An object is in the way: the one these blocks made, after an answer that was lost, or another.
async fn completed_before(store: &Store, upload: &Upload, blocks: &[&str]) -> Result<ObjectMeta> {
    let list = block_list(store, &upload.key, BlockListType::Committed).await?;
    let found = list.and_then(|list| list.committed_blocks).unwrap_or_default();
    let found: Vec<_> = found.into_iter().filter_map(|block| block.name).collect();
    if found.iter().map(Vec::as_slice).eq(blocks.iter().map(|block| block.as_bytes())) {
        return read::stat(store, &upload.key).await;
    }
    Err(gone(upload))
}

/// Why blocks that were named are not there.
async fn refusal(store: &Store, upload: &Upload) -> Error {
    let mismatch = || Error::new(NAME, ErrorKind::PartMismatch).at(&upload.key);
    match (is_marked(store, upload).await, is_there(store, &upload.key).await) {
        (Ok(false), Ok(false)) => mismatch(),
        (Err(error), _) | (_, Err(error)) => error,
        _ => gone(upload),
    }
}

/// Parts of this upload, numbered from 1 without gaps.
fn are_ours(upload: &Upload, parts: &[Part]) -> bool {
    is_id(&upload.id)
        && (1..).zip(parts).all(|(number, part)| {
            part.number == number
                && part.tag.len() == BLOCK_ID_BYTES
                && part.tag.starts_with(&format!("{number:08}-{}-", upload.id))
                && (part.size == 0) == part.tag.ends_with(EMPTY)
        })
}

pub(crate) async fn abort(store: &Store, upload: &Upload) -> Result<()> {
    if !is_id(&upload.id) {
        return Ok(());
    }
    let waiting = match block_list(store, &upload.key, BlockListType::All).await? {
        Some(list) if list.committed_blocks.as_ref().is_some_and(|blocks| !blocks.is_empty()) => {
            return Ok(());
        }
        Some(list) => uploads_of(list.uncommitted_blocks.unwrap_or_default()),
        None => BTreeSet::new(),
    };
    // The mark comes first: a block that arrives while the others are dropped finds it.
    mark(store, upload).await?;
    if waiting.len() == 1 && waiting.contains(&upload.id) {
        return drop_blocks(store, &upload.key).await;
    }
    Ok(())
}

/// Drops what waits on `key`. For the time of one request an empty object is there; of a crash in it, an
/// object that no record names is left.
async fn drop_blocks(store: &Store, key: &Key) -> Result<()> {
    let headers = match commit(store, key, &[]).await {
        Ok(headers) => headers,
        // An object: it was completed meanwhile, and is left alone.
        Err(error) if error::status(&error) == 409 || error::status(&error) == 412 => return Ok(()),
        Err(error) => return Err(error::at(&error, key)),
    };
    let made = written(key, 0, &headers)?;
    let options = BlobClientDeleteOptions {
        if_match: made.version.map(|version| Etag::from(version.0)),
        ..Default::default()
    };
    match store.blob(key).delete(Some(options)).await.map_err(|error| error::at(&error, key)) {
        Err(error) if !error.is_not_found() && error.kind() != ErrorKind::Precondition => Err(error),
        _ => Ok(()),
    }
}

/// The blocks on a name, or `None` where there never were any.
pub(crate) async fn block_list(store: &Store, key: &Key, which: BlockListType) -> Result<Option<BlockList>> {
    let answer = store.blob(key).block_blob_client().get_block_list(which, None).await;
    let list = answer.and_then(azure_core::http::Response::into_model);
    match list.map_err(|error| error::at(&error, key)) {
        Ok(list) => Ok(Some(list)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Which of our uploads these blocks belong to.
pub(crate) fn uploads_of(blocks: Vec<azure_storage_blob::models::Block>) -> BTreeSet<String> {
    let upload_of = |name: Vec<u8>| {
        let name = String::from_utf8(name).ok()?;
        let id = name.get(9..9 + ID_BYTES)?;
        (name.len() == BLOCK_ID_BYTES && is_id(id)).then(|| id.to_owned())
    };
    // Somebody else's blocks stand for an upload too, which is not ours to drop.
    blocks
        .into_iter()
        .filter_map(|block| block.name)
        .map(|name| upload_of(name).unwrap_or_default())
        .collect()
}

fn is_id(id: &str) -> bool {
    id.len() == ID_BYTES && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn gone(upload: &Upload) -> Error {
    Error::new(NAME, ErrorKind::UploadGone).at(&upload.key)
}

async fn is_there(store: &Store, key: &Key) -> Result<bool> {
    match read::stat(store, key).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

fn mark_name(store: &Store, upload: &Upload) -> String {
    format!("{}{MARKS}{}", store.root, upload.id)
}

async fn mark(store: &Store, upload: &Upload) -> Result<()> {
    let blob = store.container.blob_client(&mark_name(store, upload));
    let answer = blob.upload(Bytes::new().into(), None).await;
    answer.map(|_| ()).map_err(|error| error::at(&error, &upload.key))
}

async fn is_marked(store: &Store, upload: &Upload) -> Result<bool> {
    let blob = store.container.blob_client(&mark_name(store, upload));
    match blob.get_properties(None).await.map_err(|error| error::at(&error, &upload.key)) {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The pieces of a part, read one after the other without joining them in memory.
#[derive(Clone, Debug)]
struct Pieces {
    all: Vec<Bytes>,
    piece: usize,
    offset: usize,
}

impl Pieces {
    fn new(all: Vec<Bytes>) -> Self {
        Self { all, piece: 0, offset: 0 }
    }
}

impl futures_util::io::AsyncRead for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<IoResult<usize>> {
        let mut filled = 0;
        while filled < buffer.len() {
            let Some(piece) = self.all.get(self.piece) else { break };
            let rest = piece.slice(self.offset..);
            if rest.is_empty() {
                self.piece += 1;
                self.offset = 0;
                continue;
            }
            let read = rest.reader().read(&mut buffer[filled..])?;
            self.offset += read;
            filled += read;
        }
        Poll::Ready(Ok(filled))
    }
}

#[async_trait]
impl SeekableStream for Pieces {
    async fn reset(&mut self) -> azure_core::Result<()> {
        (self.piece, self.offset) = (0, 0);
        Ok(())
    }

    fn len(&self) -> Option<u64> {
        Some(self.all.iter().map(|piece| piece.len() as u64).sum())
    }

    fn buffer_size(&self) -> usize {
        128 * 1024
    }
}

#[cfg(test)]
mod tests {
    use azure_core::base64;
    use entrepot_storage::StorageDriver as _;

    use super::*;
    use crate::canned::{Asked, Canned, Reply};

    /// An account that looks for the blocks before it looks for the object, with these blocks committed.
    fn account(committed: Vec<String>) -> Canned {
        Canned::start(move |asked: &Asked| {
            let is_there = !committed.is_empty();
            match asked.method.as_str() {
                "PUT" => Reply::refusal(400, "InvalidBlockList"),
                "GET" if is_there => {
                    let block =
                        |name| format!("<Block><Name>{}</Name><Size>3</Size></Block>", base64::encode(name));
                    let blocks: String = committed.iter().map(block).collect();
                    Reply::xml(format!("<BlockList><CommittedBlocks>{blocks}</CommittedBlocks></BlockList>"))
                }
                "HEAD" if is_there && !asked.path.contains(MARKS) => Reply::new(200)
                    .with("etag", "\"0x1\"")
                    .with("last-modified", "Sat, 21 Nov 2026 10:00:00 GMT"),
                _ => Reply::refusal(404, "BlobNotFound"),
            }
        })
    }

    fn upload() -> (Upload, Part) {
        let upload = begin(&"data/x".parse().unwrap()).unwrap();
        let tag = format!("00000001-{}-0123456789abcdef", upload.id);
        (upload, Part { number: 1, size: 3, tag })
    }

    /// Azure does not say in which order it checks, and a repeated commit was taken for one of parts that
    /// are gone.
    #[tokio::test]
    async fn a_commit_that_is_repeated_finds_its_object_whatever_azure_looks_at_first() {
        let (upload, part) = upload();
        let account = account(vec![part.tag.clone()]);

        let meta = account.driver().upload_complete(&upload, &[part]).await.unwrap();

        assert_eq!(meta.key, upload.key);
    }

    #[tokio::test]
    async fn blocks_that_are_gone_are_no_object_of_others() {
        let (upload, part) = upload();
        let (there, nowhere) = (account(vec!["somebody else's".into()]), account(Vec::new()));

        let other = there.driver().upload_complete(&upload, std::slice::from_ref(&part)).await.unwrap_err();
        let missing = nowhere.driver().upload_complete(&upload, &[part]).await.unwrap_err();

        assert_eq!(other.kind(), ErrorKind::UploadGone);
        assert_eq!(missing.kind(), ErrorKind::PartMismatch);
    }
}
