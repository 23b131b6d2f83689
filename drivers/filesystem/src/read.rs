//! Reading objects.
//!
//! What the kernel has at hand is answered on the calling thread: the lookup with `RESOLVE_CACHED`, the
//! bytes with `RWF_NOWAIT`. Whatever would wait for the disk goes to a thread that may. One descriptor
//! is read from the first byte to the last, so an object that is replaced meanwhile is not mixed.

use std::io::IoSliceMut;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use entrepot_storage::{Body, ByteStream, Error, ErrorKind, Key, Object, ObjectMeta, ReadRange, Result};
use futures_util::stream;
use rustix::fd::OwnedFd;
use rustix::fs::{OFlags, Stat, fstat};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};

use crate::NAME;
use crate::client::Client;
use crate::error::{broken, of_write};
use crate::file::{is_object, meta, size};
use crate::resolve::{GLANCE, OBJECT};

/// Bodies up to this length are answered at once.
const WHOLE_BYTES: u64 = 256 * 1024;
/// What a stream reads at a time.
const CHUNK_BYTES: u64 = 1024 * 1024;
/// How many buffers a stream keeps to use again: one on its way out, one being written to a socket.
const SPARE_BUFFERS: usize = 2;

/// Looks at an object.
pub(crate) async fn stat(client: &Arc<Client>, key: &Key) -> Result<ObjectMeta> {
    let (_, stat) = open(client, key, GLANCE).await?;
    Ok(meta(key, &stat))
}

/// Opens an object and answers the bytes of `range`.
pub(crate) async fn get(client: &Arc<Client>, key: &Key, range: ReadRange) -> Result<Object> {
    let (file, stat) = open(client, key, OBJECT).await?;
    let unsatisfiable = ErrorKind::RangeNotSatisfiable { size: size(&stat) };
    let range = range.resolve(size(&stat)).ok_or_else(|| Error::new(NAME, unsatisfiable).at(key))?;
    let mut reader = Reader {
        client: Arc::clone(client),
        key: key.clone(),
        file: Arc::new(file),
        rest: range.clone(),
        spare: Vec::new(),
    };
    let body = if range.end - range.start <= WHOLE_BYTES {
        Body::Whole(reader.next().await?.unwrap_or_default())
    } else {
        Body::Stream(reader.into_stream())
    };
    Ok(Object { meta: meta(key, &stat), range, body })
}

/// Opens what lies at `key`, which must be a regular file.
async fn open(client: &Arc<Client>, key: &Key, flags: OFlags) -> Result<(OwnedFd, Stat)> {
    let opened = match client.resolver.open_cached(&client.root, key.as_str(), flags) {
        Err(Errno::AGAIN) => {
            let path = key.clone();
            client.run(move |client| Ok(client.resolver.open(&client.root, path.as_str(), flags))).await?
        }
        outcome => outcome,
    };
    let inspect = |file: OwnedFd| {
        let stat = fstat(&file)?;
        if is_object(&stat)? { Ok((file, stat)) } else { Err(Errno::NOENT) }
    };
    opened.and_then(inspect).map_err(|errno| client.read_failure(errno, Some(key)))
}

/// One reading of one object.
struct Reader {
    client: Arc<Client>,
    key: Key,
    file: Arc<OwnedFd>,
    rest: Range<u64>,
    spare: Vec<Bytes>,
}

impl Reader {
    fn into_stream(self) -> ByteStream {
        Box::pin(stream::try_unfold(self, |mut reader| async move {
            Ok(reader.next().await?.map(|chunk| (chunk, reader)))
        }))
    }

    /// The next chunk, or `None` after the last. A file shorter than it was is an error, never an end.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let length = (self.rest.end - self.rest.start).min(CHUNK_BYTES);
        let buffer = self.buffer(length as usize);
        let chunk = self.fill(buffer).await?.freeze();
        self.rest.start += length;
        if !self.rest.is_empty() {
            self.spare.push(chunk.clone());
        }
        Ok(Some(chunk))
    }

    /// A buffer of `length` bytes: one that the consumer has done with, else a new one. A used one needs
    /// no clearing, because it is overwritten whole or thrown away.
    fn buffer(&mut self, length: usize) -> BytesMut {
        for spare in std::mem::take(&mut self.spare) {
            match spare.try_into_mut() {
                Ok(mut buffer) if buffer.len() >= length => {
                    buffer.truncate(length);
                    return buffer;
                }
                Ok(_) => {}
                Err(in_use) => self.spare.push(in_use),
            }
        }
        self.spare.truncate(SPARE_BUFFERS - 1);
        BytesMut::zeroed(length)
    }

    async fn fill(&self, mut buffer: BytesMut) -> Result<BytesMut> {
        let offset = self.rest.start;
        let at_hand = read_at_hand(&self.client, &self.file, &mut buffer, offset);
        if at_hand == buffer.len() {
            return Ok(buffer);
        }
        let (file, key) = (Arc::clone(&self.file), self.key.clone());
        self.client
            .run(move |_| {
                read_exactly(&file, &mut buffer[at_hand..], offset + at_hand as u64, &key)?;
                Ok(buffer)
            })
            .await
    }
}

/// Reads what the page cache holds without waiting. Answers how much that was; why it was not all is
/// for the thread that may wait to find out.
fn read_at_hand(client: &Client, file: &OwnedFd, buffer: &mut [u8], offset: u64) -> usize {
    let mut filled = 0;
    while filled < buffer.len() && !client.lacks_nowait.load(Ordering::Relaxed) {
        let slices = &mut [IoSliceMut::new(&mut buffer[filled..])];
        match preadv2(file, slices, offset + filled as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => client.lacks_nowait.store(true, Ordering::Relaxed),
            Err(_) => break,
        }
    }
    filled
}

fn read_exactly(file: &OwnedFd, buffer: &mut [u8], offset: u64, key: &Key) -> Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match pread(file, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => return Err(broken("the file is shorter than it was when it was opened", Some(key))),
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(of_write(errno, Some(key))),
        }
    }
    Ok(())
}
