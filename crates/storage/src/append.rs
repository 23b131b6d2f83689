//! Appending a body of unknown length: cuts it into parts, parks what does not fill one, and can be put
//! to sleep between two requests.
//!
//! The state between two requests is [`AppendState`], plain data; the [`Appender`] is one request's
//! handle on it. Dropping the handle is a crash: what the last stored state says is what survives.
//! Nothing here hashes, and nothing knows what the bytes are for.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::join;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

mod block;
mod budget;
mod gathering;

pub use budget::PartBudget;
use gathering::Gathering;

use crate::{Error, ErrorKind, Key, ObjectMeta, Part, PutMode, ReadRange, Result, SharedDriver, Upload};

/// Bytes of the part with this number (from 1 on) of an upload that may have `most` parts, where the first
/// has `first`. Not where [`Capabilities`](crate::Capabilities) want them equal.
///
/// The first two fifths are of one size, after that it doubles ten times. Of 10,000 parts of 16 MiB the first
/// 4,000 are 62 GiB, in the memory of a small body, and all together more than a store takes; of 5 MiB,
/// the least S3 knows, they hold 5 TiB.
pub fn part_bytes(first: u64, number: u32, most: u32) -> u64 {
    let (of_one_size, per_doubling) = (most / 5 * 2, (most / 50 * 3).max(1));
    first << number.saturating_sub(of_one_size).div_ceil(per_doubling).min(10)
}

/// Where an appended body stands at the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendState {
    /// Bytes of one part, fixed when the body began.
    pub part_size: u64,
    /// The store's upload, once there was more than one part's worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
    /// The parts acknowledged so far, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Bytes that did not fill a part, as an object of their own. Without an upload this object holds
    /// the whole body so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<Tail>,
}

/// A parked remainder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// Where it lies.
    pub key: Key,
    /// Its length in bytes.
    pub size: u64,
    /// The same bytes as the upload's next part. If nothing more comes, it is the last one, and nobody has to
    /// read the remainder back; if more comes, a part of the same number takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

impl AppendState {
    /// Bytes this state accounts for.
    pub fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum::<u64>() + self.tail.as_ref().map_or(0, |tail| tail.size)
    }

    /// Completes the upload of a [sealed](Appender::seal) body. May be repeated, by any process. Without an
    /// upload there is nothing to complete.
    pub async fn complete(&self, driver: &SharedDriver) -> Result<()> {
        match &self.upload {
            Some(upload) => driver.upload_complete(upload, &self.parts).await.map(|_| ()),
            None => Ok(()),
        }
    }
}

/// What an appender may use.
#[derive(Clone, Debug)]
pub struct AppendOptions {
    /// Bytes per part; `None` takes the store's preference. Clamped to what the store allows.
    pub part_size: Option<u64>,
    /// Parts in flight at once; never more than the store allows.
    pub parts_in_flight: usize,
    /// The bound on memory.
    pub budget: PartBudget,
}

type KeySource = Box<dyn FnMut() -> Key + Send>;

/// One request's handle on an appended body.
///
/// Memory held: (parts in flight + 1) parts. Not to be shared between tasks.
pub struct Appender {
    driver: SharedDriver,
    fresh_key: KeySource,
    budget: PartBudget,
    in_flight_limit: usize,
    state: AppendState,
    gathering: Gathering,
    in_flight: VecDeque<InFlight>,
    next_number: u32,
    /// This handle sent parts that were not flushed.
    is_unflushed: bool,
    superseded: Vec<Key>,
    /// Promised for what was begun by nothing yet.
    destination: Option<Key>,
}

struct InFlight(JoinHandle<Result<Part>>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Appender {
    /// Opens a new body, or continues `state`. Every object it has to create lies at a key taken from
    /// `fresh_key`, which must never answer the same key twice. A parked remainder is read back, so
    /// this may cost one GET of at most a part.
    pub async fn open(
        driver: SharedDriver,
        state: Option<AppendState>,
        fresh_key: impl FnMut() -> Key + Send + 'static,
        options: &AppendOptions,
    ) -> Result<Self> {
        let capabilities = *driver.capabilities();
        let fresh = || AppendState {
            part_size: options
                .part_size
                .unwrap_or(capabilities.preferred_part)
                .clamp(capabilities.min_part.max(1), capabilities.max_part),
            upload: None,
            parts: Vec::new(),
            tail: None,
        };
        let mut appender = Self {
            in_flight_limit: options.parts_in_flight.clamp(1, capabilities.parallel_parts.max(1)),
            fresh_key: Box::new(fresh_key),
            budget: options.budget.clone(),
            state: state.unwrap_or_else(fresh),
            gathering: Gathering::default(),
            in_flight: VecDeque::new(),
            next_number: 1,
            is_unflushed: false,
            superseded: Vec::new(),
            destination: None,
            driver,
        };
        appender.next_number = appender.state.parts.last().map_or(1, |part| part.number + 1);
        Ok(appender)
    }

    /// How many more bytes fit the part being filled. Cutting chunks here lets the caller note its hash
    /// at every part's end.
    pub fn room(&self) -> u64 {
        self.part_size().saturating_sub(self.gathering.size() + self.parked()).max(1)
    }

    /// Bytes of the parked remainder.
    fn parked(&self) -> u64 {
        self.state.tail.as_ref().map_or(0, |tail| tail.size)
    }

    /// Adds `chunk`, which must not be longer than [`room`](Self::room). Waits while as many parts are
    /// in flight as are allowed, and for memory.
    pub async fn append(&mut self, chunk: Bytes) -> Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        // For all at once: who holds memory must not wait for more.
        self.make_room(self.parked() + chunk.len() as u64).await?;
        self.unpark().await?;
        self.gathering.add(&chunk);
        // Given back before anything is waited for: the connection reads on into the same memory.
        drop(chunk);
        if self.gathering.size() >= self.part_size() {
            self.send_part().await?;
        }
        Ok(())
    }

    /// Waits for the parts in flight, makes all parts durable and answers the state as of the last part's
    /// end. Bytes that have not filled a part are not in it. `None` while no part was written.
    pub async fn checkpoint(&mut self) -> Result<Option<AppendState>> {
        self.settle(0).await?;
        if self.state.upload.is_none() {
            return Ok(None);
        }
        self.flush().await?;
        Ok(Some(self.state.clone()))
    }

    async fn flush(&mut self) -> Result<()> {
        if let Some(upload) = self.state.upload.as_ref().filter(|_| self.is_unflushed) {
            self.driver.upload_flush(upload).await?;
            self.is_unflushed = false;
        }
        Ok(())
    }

    /// Ends this request: everything accepted becomes durable, and the answered state says where it is.
    pub async fn suspend(mut self) -> Result<Suspended> {
        self.settle(0).await?;
        if self.gathering.size() > 0 {
            let parts_of_any_size = self.driver.capabilities().min_part <= 1
                && !self.driver.capabilities().uniform_parts
                && self.state.upload.is_some();
            if parts_of_any_size {
                self.send_part().await?;
                self.settle(0).await?;
            } else {
                self.park().await?;
            }
        }
        self.flush().await?;
        Ok(Suspended { state: self.state.clone(), superseded: std::mem::take(&mut self.superseded) })
    }

    /// The key [`finish`](Self::finish) and [`seal`](Self::seal) will make the object at, if nothing is appended before.
    pub fn destination(&mut self) -> Key {
        match (&self.state.upload, &self.state.tail) {
            (Some(upload), _) => upload.key.clone(),
            (None, Some(tail)) if self.gathering.size() == 0 => tail.key.clone(),
            (None, _) => self.destination.get_or_insert_with(|| (self.fresh_key)()).clone(),
        }
    }

    fn fresh_key(&mut self) -> Key {
        self.destination.take().unwrap_or_else(|| (self.fresh_key)())
    }

    /// Makes the object: answers its key and size once it is durable and visible there. The number of
    /// requests does not depend on the size of what was appended before.
    pub async fn finish(self) -> Result<Finished> {
        let driver = Arc::clone(&self.driver);
        let Sealed { finished, completion } = self.seal().await?;
        if let Some(state) = completion {
            state.complete(&driver).await?;
        }
        Ok(finished)
    }

    /// Makes everything durable and decides what the object will consist of: nothing can be appended any more.
    /// What was begun as an upload is visible once its [completion](AppendState::complete) is done; else the
    /// object is there when this answers.
    ///
    /// A body that several requests may close at once is sealed, one of the seals is recorded, and only that
    /// one is completed: a store tells a repeated completion from another's by the object's size at most.
    pub async fn seal(mut self) -> Result<Sealed> {
        let Some(upload) = self.state.upload.clone() else {
            let finished = self.finish_whole().await?;
            return Ok(Sealed { finished, completion: None });
        };
        match self.state.tail.take() {
            Some(Tail { key, part: Some(part), .. }) if self.gathering.size() == 0 => {
                self.state.parts.push(part);
                self.superseded.push(key);
            }
            tail => self.state.tail = tail,
        }
        self.unpark().await?;
        if self.gathering.size() > 0 {
            self.send_part().await?;
        }
        self.settle(0).await?;
        self.flush().await?;
        let size = self.state.size();
        let finished = Finished { key: upload.key, size, superseded: std::mem::take(&mut self.superseded) };
        Ok(Sealed { finished, completion: Some(self.state.clone()) })
    }

    /// Gives everything up: aborts the upload and deletes what was parked. Best effort, for a body that
    /// never was made known to anybody.
    pub async fn abandon(mut self) -> Result<()> {
        self.in_flight.clear();
        if let Some(upload) = &self.state.upload {
            self.driver.upload_abort(upload).await?;
        }
        if let Some(tail) = self.state.tail.take() {
            self.superseded.push(tail.key);
        }
        for key in &self.superseded {
            self.driver.delete(key, None).await?;
        }
        Ok(())
    }

    /// Bytes of the part being filled: grows for very large bodies where the store lets parts differ.
    fn part_size(&self) -> u64 {
        let capabilities = self.driver.capabilities();
        if capabilities.uniform_parts {
            return self.state.part_size;
        }
        let first = self.state.part_size;
        part_bytes(first, self.next_number, capabilities.max_parts).min(capabilities.max_part.max(first))
    }

    async fn make_room(&mut self, more: u64) -> Result<()> {
        self.gathering.make_room(more, self.part_size(), &self.budget, self.driver.name()).await
    }

    /// Reads a parked remainder back.
    async fn unpark(&mut self) -> Result<()> {
        let Some(tail) = self.state.tail.take() else { return Ok(()) };
        self.make_room(tail.size).await?;
        let mut stream = self.driver.get(&tail.key, ReadRange::Whole).await?.body.into_stream();
        while let Some(chunk) = stream.try_next().await? {
            if self.gathering.size() + chunk.len() as u64 > tail.size {
                return Err(self.damaged(&tail));
            }
            self.gathering.add(&chunk);
        }
        if self.gathering.size() != tail.size {
            return Err(self.damaged(&tail));
        }
        self.superseded.push(tail.key);
        Ok(())
    }

    fn damaged(&self, tail: &Tail) -> Error {
        Error::new(self.driver.name(), ErrorKind::PartMismatch).at(&tail.key)
    }

    /// Writes the buffer as an object of its own, and beside that as the part it will be if nothing follows.
    async fn park(&mut self) -> Result<()> {
        let (bytes, _reservation) = std::mem::take(&mut self.gathering).freeze();
        let key = self.fresh_key();
        let (meta, part) = join(put_fresh(&self.driver, key, bytes.clone()), self.send_ahead(bytes)).await;
        let meta = meta?;
        self.state.tail = Some(Tail { key: meta.key, size: meta.size, part: part? });
        Ok(())
    }

    /// Sends what may become the last part. None where there is no upload, or for now no way to it: then the
    /// parked bytes are sent by whoever needs them.
    async fn send_ahead(&self, bytes: Bytes) -> Result<Option<Part>> {
        let number = self.next_number;
        let upload = self.state.upload.as_ref().filter(|_| number <= self.driver.capabilities().max_parts);
        let Some(upload) = upload else { return Ok(None) };
        match self.driver.upload_part(upload, number, vec![bytes]).await {
            Ok(part) => Ok(Some(part)),
            Err(error) if error.kind() == ErrorKind::UploadGone => Err(error),
            Err(_) => Ok(None),
        }
    }

    async fn put_buffer(&mut self) -> Result<ObjectMeta> {
        let (bytes, _reservation) = std::mem::take(&mut self.gathering).freeze();
        let key = self.fresh_key();
        put_fresh(&self.driver, key, bytes).await
    }

    async fn finish_whole(mut self) -> Result<Finished> {
        if self.gathering.size() == 0
            && let Some(tail) = self.state.tail.take()
        {
            return self.finished(tail.key, tail.size);
        }
        self.unpark().await?;
        let meta = self.put_buffer().await?;
        self.finished(meta.key, meta.size)
    }

    fn finished(mut self, key: Key, size: u64) -> Result<Finished> {
        Ok(Finished { key, size, superseded: std::mem::take(&mut self.superseded) })
    }

    async fn send_part(&mut self) -> Result<()> {
        self.settle(self.in_flight_limit - 1).await?;
        let upload = match &self.state.upload {
            Some(upload) => upload.clone(),
            None => {
                let key = self.fresh_key();
                let upload = self.driver.upload_begin(&key).await?;
                self.state.upload = Some(upload.clone());
                upload
            }
        };
        let number = self.next_number;
        if number > self.driver.capabilities().max_parts {
            return Err(Error::new(self.driver.name(), ErrorKind::Unsupported)
                .at(&upload.key)
                .because("more parts than the store allows"));
        }
        self.next_number += 1;
        self.is_unflushed = true;
        let (bytes, reservation) = std::mem::take(&mut self.gathering).freeze();
        let driver = Arc::clone(&self.driver);
        self.in_flight.push_back(InFlight(tokio::spawn(async move {
            let part = driver.upload_part(&upload, number, vec![bytes]).await;
            // Not with the answer: that may be looked at only after more memory was waited for.
            drop(reservation);
            part
        })));
        Ok(())
    }

    /// Waits until no more than `limit` parts are in flight, oldest first.
    async fn settle(&mut self, limit: usize) -> Result<()> {
        while self.in_flight.len() > limit {
            let Some(mut oldest) = self.in_flight.pop_front() else { break };
            let part = (&mut oldest.0).await.map_err(|error| {
                Error::new(self.driver.name(), ErrorKind::Backend { retryable: true }).because(error)
            })?;
            self.state.parts.push(part?);
        }
        Ok(())
    }
}

/// What a suspended request leaves behind.
#[derive(Debug)]
pub struct Suspended {
    /// Where the body stands.
    pub state: AppendState,
    /// Objects the new state no longer needs. To be deleted once the state is stored, not before.
    pub superseded: Vec<Key>,
}

/// A finished body.
#[derive(Debug)]
pub struct Finished {
    /// Where its bytes lie.
    pub key: Key,
    /// How many there are.
    pub size: u64,
    /// Objects that are no longer needed.
    pub superseded: Vec<Key>,
}

/// A body that takes nothing more.
#[derive(Debug)]
pub struct Sealed {
    /// What there will be, or is.
    pub finished: Finished,
    /// What is left to do before it is. Plain data: any process may do it.
    pub completion: Option<AppendState>,
}

/// Puts at a key that was made for this call alone. `AlreadyExists` can then only be an earlier attempt
/// of the very same call whose answer was lost.
async fn put_fresh(driver: &SharedDriver, key: Key, body: Bytes) -> Result<ObjectMeta> {
    let size = body.len() as u64;
    match driver.put(&key, body, PutMode::Fresh).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let meta = driver.stat(&key).await?;
            if meta.size == size { Ok(meta) } else { Err(error) }
        }
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn parts_stay_of_one_size_for_long_and_then_reach_several_tebibytes() {
        let size = |first, parts| (1..=parts).map(|number| part_bytes(first, number, 10_000)).sum::<u64>();

        assert_eq!(part_bytes(16 * MIB, 4000, 10_000), 16 * MIB);
        assert_eq!(part_bytes(16 * MIB, 4001, 10_000), 32 * MIB);
        assert!(size(16 * MIB, 4000) > 62 << 30);
        assert!(size(5 * MIB, 10_000) > 5 << 40);
    }

    #[test]
    fn parts_never_shrink_and_never_grow_where_there_is_no_end_of_them() {
        for most in [1, 7, 10_000, 50_000] {
            assert!(
                (1..2 * most)
                    .all(|number| part_bytes(MIB, number, most) <= part_bytes(MIB, number + 1, most))
            );
        }
        assert_eq!(part_bytes(MIB, 1_000_000, u32::MAX), MIB);
    }
}
