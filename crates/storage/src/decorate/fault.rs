//! Breaks things on purpose, the same way each time for the same seed.
//!
//! One [`Fault`] is one process's handle on a store: rules say which of its calls fail, before they are
//! applied or after (a lost answer), wait, lose the rest of a body or flip a byte of it; a crash makes
//! all further calls fail, as if the process had died; a [`Stepper`] holds each call until a test lets
//! it go, so that a scheduler can put the calls of several handles in any order.
//!
//! Nothing here guesses: every effect is asked for through [`Controls`], or the call goes through
//! untouched. Waiting works under any executor; [`Effect::Delay`] needs a tokio runtime's clock.

mod body;
mod controls;
mod rule;
mod stepper;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::Operation;
use crate::{
    Capabilities, Error, ErrorKind, Key, ListPage, Object, ObjectMeta, Part, PreparedPut, PresignOptions,
    PutMode, ReadRange, Result, SharedDriver, SignedUrl, StorageDriver, Upload, UploadEntry, Version,
};

pub use controls::Controls;
pub use rule::{Effect, Rule};
pub use stepper::{Point, Stepper, Ticket};

/// A store that fails when it is told to.
#[derive(Debug)]
pub struct Fault {
    inner: SharedDriver,
    controls: Controls,
}

impl Fault {
    /// A handle called `actor` that behaves until [`controls`](Self::controls) say otherwise. `seed`
    /// decides what [`Rule::with_probability`] meets.
    pub fn new(inner: SharedDriver, actor: &str, seed: u64) -> Self {
        Self { inner, controls: Controls::new(actor, seed) }
    }

    /// What breaks this handle. Clones break the same one.
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// Lets a call through as far as the rules allow. Answers what is to be done to its body.
    async fn through<T>(
        &self,
        operation: Operation,
        subject: &str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<(T, Vec<Effect>)> {
        let effects = self.controls.plan(operation, subject);
        self.controls.wait(operation, subject, Point::Before).await;
        self.refuse_the_dead()?;
        for effect in &effects {
            self.before(effect).await?;
        }
        let outcome = call.await;
        self.controls.wait(operation, subject, Point::After).await;
        self.refuse_the_dead()?;
        effects.iter().try_for_each(|effect| self.after(effect))?;
        Ok((outcome?, effects))
    }

    async fn answer<T>(
        &self,
        operation: Operation,
        subject: &str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.through(operation, subject, call).await.map(|(answer, _)| answer)
    }

    async fn before(&self, effect: &Effect) -> Result<()> {
        match effect {
            Effect::FailBefore(kind) => Err(self.injected(*kind)),
            Effect::CrashBefore => {
                self.controls.crash();
                self.refuse_the_dead()
            }
            Effect::Delay(pause) => {
                tokio::time::sleep(*pause).await;
                Ok(())
            }
            Effect::FailAfter(_) | Effect::CrashAfter | Effect::CutBody { .. } | Effect::FlipByte { .. } => {
                Ok(())
            }
        }
    }

    fn after(&self, effect: &Effect) -> Result<()> {
        match effect {
            Effect::FailAfter(kind) => Err(self.injected(*kind)),
            Effect::CrashAfter => {
                self.controls.crash();
                self.refuse_the_dead()
            }
            Effect::FailBefore(_)
            | Effect::CrashBefore
            | Effect::Delay(_)
            | Effect::CutBody { .. }
            | Effect::FlipByte { .. } => Ok(()),
        }
    }

    fn refuse_the_dead(&self) -> Result<()> {
        if self.controls.is_crashed() {
            return Err(Error::new(self.inner.name(), ErrorKind::Backend { retryable: false })
                .because(format!("{} has crashed", self.controls.actor())));
        }
        Ok(())
    }

    fn injected(&self, kind: ErrorKind) -> Error {
        Error::new(self.inner.name(), kind).because("an injected fault")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault({})", self.inner)
    }
}

#[async_trait]
impl StorageDriver for Fault {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn stat(&self, key: &Key) -> Result<ObjectMeta> {
        self.answer(Operation::Stat, key.as_str(), self.inner.stat(key)).await
    }

    async fn get(&self, key: &Key, range: ReadRange) -> Result<Object> {
        let call = self.inner.get(key, range);
        let (mut object, effects) = self.through(Operation::Get, key.as_str(), call).await?;
        object.body = body::broken(object.body, &effects, self.inner.name(), key, &self.controls);
        Ok(object)
    }

    async fn put(&self, key: &Key, body: Bytes, mode: PutMode) -> Result<ObjectMeta> {
        self.answer(Operation::Put, key.as_str(), self.inner.put(key, body, mode)).await
    }

    fn prepare_put(&self, key: &Key, body: &Bytes) -> PreparedPut {
        self.inner.prepare_put(key, body)
    }

    async fn delete(&self, key: &Key, version: Option<&Version>) -> Result<()> {
        self.answer(Operation::Delete, key.as_str(), self.inner.delete(key, version)).await
    }

    async fn delete_many(&self, keys: &[Key]) -> Result<Vec<Error>> {
        let first = keys.first().map_or("", Key::as_str);
        self.answer(Operation::DeleteMany, first, self.inner.delete_many(keys)).await
    }

    async fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> Result<ListPage> {
        self.answer(Operation::List, prefix, self.inner.list(prefix, start_after, limit)).await
    }

    async fn presign_get(&self, key: &Key, options: &PresignOptions) -> Result<Option<SignedUrl>> {
        self.answer(Operation::PresignGet, key.as_str(), self.inner.presign_get(key, options)).await
    }

    async fn upload_begin(&self, key: &Key) -> Result<Upload> {
        self.answer(Operation::UploadBegin, key.as_str(), self.inner.upload_begin(key)).await
    }

    async fn upload_part(&self, upload: &Upload, number: u32, body: Vec<Bytes>) -> Result<Part> {
        let call = self.inner.upload_part(upload, number, body);
        self.answer(Operation::UploadPart, upload.key.as_str(), call).await
    }

    async fn upload_flush(&self, upload: &Upload) -> Result<()> {
        self.answer(Operation::UploadFlush, upload.key.as_str(), self.inner.upload_flush(upload)).await
    }

    async fn upload_complete(&self, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
        let call = self.inner.upload_complete(upload, parts);
        self.answer(Operation::UploadComplete, upload.key.as_str(), call).await
    }

    async fn upload_abort(&self, upload: &Upload) -> Result<()> {
        self.answer(Operation::UploadAbort, upload.key.as_str(), self.inner.upload_abort(upload)).await
    }

    async fn list_uploads(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<UploadEntry>> {
        let call = self.inner.list_uploads(prefix, start_after, limit);
        self.answer(Operation::ListUploads, prefix, call).await
    }
}
