//! Writing whole objects, and deleting.

use std::num::NonZero;

use azure_core::http::Etag;
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlockBlobClientUploadOptions, DeleteSnapshotsOptionType,
};
use bytes::Bytes;
use entrepot_storage::{Error, ErrorKind, Key, ObjectMeta, PutMode, Result, Version};
use futures_util::future::{FutureExt as _, ready};
use futures_util::{StreamExt as _, stream};

use crate::client::{Store, meta};
use crate::error::{self, NAME};

/// Above what fits one part, the SDK would cut the body into blocks; one request is one version.
const WHOLE: NonZero<u64> = NonZero::new(1 << 48).expect("it is not zero");
/// How many deletes are on their way at once. The SDK has no Blob Batch (up to 256 at once, and by another
/// signature each), and deletes are cheap.
const DELETES_AT_ONCE: usize = 16;

pub(crate) async fn put(store: &Store, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
    let size = body.len() as u64;
    let mut options = BlockBlobClientUploadOptions {
        partition_size: Some(WHOLE),
        parallel: Some(NonZero::<usize>::MIN),
        ..Default::default()
    };
    match &mode {
        PutMode::Overwrite => {}
        PutMode::IfAbsent | PutMode::Fresh => options.if_none_match = Some(Etag::from("*")),
        PutMode::IfMatch(version) => options.if_match = Some(Etag::from(version.0.as_str())),
    }
    let answer = store.blob(key).upload(body.into(), Some(options)).await;
    let answer = answer.map_err(|error| lost(&mode, error::at(&error, key)))?;
    let Some(etag) = answer.etag else { return Err(error::nonsense(key, "a write without an ETag")) };
    Ok(meta(key, size, Some(&etag), answer.last_modified))
}

/// A lost condition in the contract's words: Azure has one of its own for each way to lose.
fn lost(mode: &PutMode, error: Error) -> Error {
    let kind = match (mode, error.kind()) {
        (PutMode::IfAbsent | PutMode::Fresh, ErrorKind::Precondition) => ErrorKind::AlreadyExists,
        (PutMode::IfMatch(_), ErrorKind::NotFound | ErrorKind::AlreadyExists) => ErrorKind::Precondition,
        _ => return error,
    };
    translated(error, kind)
}

/// The same failure under another meaning.
pub(crate) fn translated(error: Error, kind: ErrorKind) -> Error {
    let key = error.key().cloned();
    let translated = Error::new(NAME, kind).because(error);
    match key {
        Some(key) => translated.at(&key),
        None => translated,
    }
}

pub(crate) async fn delete(store: &Store, key: &Key, version: Option<&Version>) -> Result<()> {
    let options = BlobClientDeleteOptions {
        if_match: version.map(|version| Etag::from(version.0.as_str())),
        // Otherwise a blob somebody took a snapshot of could not be deleted at all.
        delete_snapshots: Some(DeleteSnapshotsOptionType::Include),
        ..Default::default()
    };
    let outcome = store.blob(key).delete(Some(options)).await.map_err(|error| error::at(&error, key));
    match (outcome, version) {
        (Ok(_), _) => Ok(()),
        (Err(error), None) if error.is_not_found() => Ok(()),
        (Err(error), Some(_)) if error.is_not_found() => Err(translated(error, ErrorKind::Precondition)),
        (Err(error), _) => Err(error),
    }
}

pub(crate) async fn delete_many(store: &Store, keys: &[Key]) -> Vec<Error> {
    // Made by a loop and boxed: the compiler cannot tell otherwise that they may change threads.
    let mut deletes = Vec::with_capacity(keys.len());
    for key in keys {
        deletes.push(delete(store, key, None).boxed());
    }
    let outcomes = stream::iter(deletes).buffer_unordered(DELETES_AT_ONCE);
    outcomes.filter_map(|outcome| ready(outcome.err())).collect().await
}
