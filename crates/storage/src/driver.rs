//! The trait every driver implements, with what both sides may rely on.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Capabilities, Error, Key, ListPage, Object, ObjectMeta, Part, PreparedPut, PresignOptions, PutMode,
    ReadRange, Result, SignedUrl, Upload, UploadEntry, Version,
};

/// A driver that several owners share.
pub type SharedDriver = Arc<dyn StorageDriver>;

/// Objects by key on some store.
///
/// **Atomicity.** An object appears whole or not at all, and so does each new content of it: a reader
/// sees one version from its first byte to its last, whatever happens meanwhile.
/// **Order.** When a write or delete has been answered, every later read and listing, by any process,
/// shows it. **Durability.** What was answered survives the loss of every process and of power.
/// **Absence.** [`NotFound`](crate::ErrorKind::NotFound) is the store's own word; every doubt is
/// another kind. **Concurrency.** All calls may run at once from any number of processes. A future
/// that is dropped leaves its write either applied or not. **Retries.** A driver may repeat a call to
/// its store; a conditional write that was repeated may then report a lost condition against its own
/// first attempt, so callers compare what is stored.
///
/// Every method is required: a decorator that forgot to forward one would not compile. `Display` names
/// the chain of decorators and the driver, for logs.
#[async_trait]
pub trait StorageDriver: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// The driver's name as the configuration knows it: `filesystem`, `s3`.
    fn name(&self) -> &'static str;

    /// What this store can do.
    fn capabilities(&self) -> &Capabilities;

    /// Looks at an object without reading it.
    async fn stat(&self, key: &Key) -> Result<ObjectMeta>;

    /// Reads an object or a range of it. Never holds more than a few MiB of it in memory.
    ///
    /// Fails with `NotFound`, or with `RangeNotSatisfiable` where the range holds no byte of it.
    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object>;

    /// Writes a whole object. Meant for what fits one part.
    ///
    /// `IfAbsent` fails with `AlreadyExists` and `IfMatch` with `Precondition` (also where no object
    /// is), and then nothing was changed. Of several at once with the same condition exactly one wins.
    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta>;

    /// Tells that `body` is about to be put at `key`, once something else is durable. Whatever takes long
    /// and can be seen by nobody may be done meanwhile: a disk writes and syncs the bytes, and the put
    /// has only to name them.
    ///
    /// Costs no request, does not wait, cannot fail, and changes no answer: the put is the same with and
    /// without it, and has its own deadline and its own failures. For what is small.
    fn prepare_put(&self, key: &Key, body: &Bytes) -> PreparedPut;

    /// Deletes an object. Without a version, a missing object is a success. With one, the object is
    /// deleted only in that version, else `Precondition`; `Unsupported` where the store cannot tell.
    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()>;

    /// Deletes many objects, each as `delete` without a version would. Answers the failures, each with
    /// its key; an empty answer means that all are gone.
    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>>;

    /// Lists up to `limit` objects whose keys begin with `prefix` and are greater than `start_after`,
    /// in byte order. `prefix` and `start_after` are any text, not only whole segments. `more` may be
    /// true although nothing follows; it is never false when something does.
    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage>;

    /// A URL by which anybody may read the object for a while. `None` where the store has no such thing, or
    /// whoever has to sign was asked a moment ago and did not.
    ///
    /// Signed locally: no request is made per URL, whether the object exists is not looked at. What the
    /// signature needs (a delegated key, a temporary credential) may be fetched now and then. The same
    /// options give the same URL on every process that holds the same credentials, and the signature
    /// covers neither `Range` nor any other header a client chooses.
    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>>;

    /// Begins an upload in parts. Nothing is visible at `key` before it is completed.
    async fn upload_begin(&self, key: &Key) -> Result<Upload>;

    /// Adds one part. `number` begins at 1. The same number may be written again, by this process or
    /// another: each acknowledged part has its own tag, and completion takes exactly the tagged bytes
    /// or fails. Fails with `UploadGone` after completion or abort.
    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part>;

    /// Makes every acknowledged part survive the loss of power. Free where a part is durable once it
    /// is acknowledged.
    async fn upload_flush(&self, upload: &Upload) -> Result<()>;

    /// Makes the object out of exactly `parts`, in order. Cost does not depend on their size as long
    /// as one writer wrote them in order. Replaces nothing: callers choose keys that never were used, and
    /// complete one upload with one list of parts. Most stores tell a completion that is repeated from one with
    /// another list by the object's size alone.
    ///
    /// Fails with `PartMismatch` where the store no longer holds the tagged bytes, and then nothing
    /// is visible. Completing again after a success answers the object as it is.
    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta>;

    /// Gives an upload up and frees its parts. An upload that is already gone is a success; a completed
    /// object is left alone.
    async fn upload_abort(&self, upload: &Upload) -> Result<()>;

    /// Uploads in progress whose keys begin with `prefix`, up to `limit`, keys greater than
    /// `start_after`. For cleaning up only: stores do not promise that it is complete.
    async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>>;
}

/// Conveniences over any driver. They cannot be overridden, so they cannot drift.
#[async_trait]
pub trait StorageDriverExt: StorageDriver {
    /// Reads a small object whole, or `None` where the store says it is absent.
    async fn read(&self, key: &Key) -> Result<Option<(Bytes, ObjectMeta)>> {
        match self.get(key, ReadRange::Whole).await {
            Ok(object) => Ok(Some((object.body.into_bytes().await?, object.meta))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Looks at an object, or `None` where the store says it is absent.
    async fn stat_if_present(&self, key: &Key) -> Result<Option<ObjectMeta>> {
        match self.stat(key).await {
            Ok(meta) => Ok(Some(meta)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl<D: StorageDriver + ?Sized> StorageDriverExt for D {}
