//! Reading objects.
//!
//! What the kernel has at hand is answered on the calling thread: the lookup with `RESOLVE_CACHED`, the
//! bytes with `RWF_NOWAIT`. Whatever would wait for the disk goes to a thread that may. One descriptor
//! is read from the first byte to the last, so an object that is replaced meanwhile is not mixed. What
//! only goes on to a socket is not read at all where the page cache has it: see [`window`](crate::window).

use std::io::IoSliceMut;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use entrepot_storage::{
    Body, ByteStream, Error, ErrorKind, Key, LocalFile, Object, ObjectMeta, Piece, PieceStream, ReadRange,
    Result,
};
use futures_util::stream;
use rustix::fd::OwnedFd;
use rustix::fs::{OFlags, Stat, fstat};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};

use crate::NAME;
use crate::buffers::{BUFFER_BYTES, Buffer};
use crate::client::Client;
use crate::error::{broken, of_write};
use crate::file::{is_object, meta, size};
use crate::resolve::{GLANCE, OBJECT};
use crate::window::{self, FileWindow, WINDOW_BYTES};

/// Bodies up to this length are answered at once.
const WHOLE_BYTES: u64 = 256 * 1024;

/// Looks at an object.
pub(crate) async fn stat(client: &Arc<Client>, key: &Key) -> Result<ObjectMeta> {
    if let Some((meta, _)) = client.hot.find(key) {
        return Ok(meta);
    }
    let (_, stat) = open(client, key, GLANCE).await?;
    Ok(meta(key, &stat))
}

/// Opens an object and answers the bytes of `range`.
pub(crate) async fn get(client: &Arc<Client>, key: &Key, range: ReadRange) -> Result<Object> {
    if let Some((meta, bytes)) = client.hot.find(key) {
        let range = resolve(&range, key, meta.size)?;
        let place = usize::try_from(range.start).unwrap_or(0)..usize::try_from(range.end).unwrap_or(0);
        return Ok(Object { meta, range, body: Body::Whole(bytes.slice(place)) });
    }
    let (file, stat) = open(client, key, OBJECT).await?;
    let (meta, range) = (meta(key, &stat), resolve(&range, key, size(&stat))?);
    let mut reader = Reader {
        client: Arc::clone(client),
        key: key.clone(),
        file: Arc::new(file),
        rest: range.clone(),
        may_map: false,
    };
    if range.end - range.start > WHOLE_BYTES {
        reader.may_map = window::may_map(&stat);
        return Ok(Object { meta, range, body: Body::Local(Box::new(reader)) });
    }
    let bytes = reader.whole().await?;
    if let Some(file) = Arc::into_inner(reader.file) {
        client.hot.keep(file, &stat, &meta, &bytes);
    }
    Ok(Object { meta, range, body: Body::Whole(bytes) })
}

fn resolve(range: &ReadRange, key: &Key, size: u64) -> Result<Range<u64>> {
    let unsatisfiable = ErrorKind::RangeNotSatisfiable { size };
    range.resolve(size).ok_or_else(|| Error::new(NAME, unsatisfiable).at(key))
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
#[derive(Clone)]
pub(crate) struct Reader {
    client: Arc<Client>,
    key: Key,
    pub(crate) file: Arc<OwnedFd>,
    /// Which bytes are still to be read.
    pub(crate) rest: Range<u64>,
    /// Whether the page cache tells what it holds of the file.
    may_map: bool,
}

impl LocalFile for Reader {
    fn into_stream(self: Box<Self>) -> ByteStream {
        Box::pin(stream::try_unfold(self, |mut reader| async move {
            Ok(reader.next().await?.map(|chunk| (chunk, reader)))
        }))
    }

    fn into_pieces(self: Box<Self>) -> PieceStream {
        Box::pin(stream::try_unfold(self, |mut reader| async move {
            let piece = match reader.window() {
                Some(window) => Some(Piece::Window(Box::new(window))),
                None => reader.next().await?.map(Piece::Bytes),
            };
            Ok(piece.map(|piece| (piece, reader)))
        }))
    }
}

impl Reader {
    /// The next bytes as a window, if there are enough and the page cache has all of them.
    fn window(&mut self) -> Option<FileWindow> {
        let length = (self.rest.end - self.rest.start).min(WINDOW_BYTES as u64);
        if !self.may_map || length <= BUFFER_BYTES as u64 {
            return None;
        }
        let end = self.rest.start + length;
        let window = FileWindow::on(Self { rest: self.rest.start..end, ..self.clone() })?;
        self.rest.start = end;
        Some(window)
    }

    /// The next chunk, or `None` after the last. A file shorter than it was is an error, never an end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let length = (self.rest.end - self.rest.start).min(BUFFER_BYTES as u64);
        let buffer = self.client.buffers.take(length as usize);
        let chunk = self.fill(buffer, Buffer::as_mut).await?.freeze();
        self.rest.start += length;
        Ok(Some(chunk))
    }

    /// Everything at once, in memory of its own: it may be kept for long.
    async fn whole(&mut self) -> Result<Bytes> {
        let length = (self.rest.end - self.rest.start) as usize;
        Ok(self.fill(vec![0; length], Vec::as_mut_slice).await?.into())
    }

    /// Fills a buffer with what lies at the beginning of the rest.
    async fn fill<B: Send + 'static>(&self, mut buffer: B, space: fn(&mut B) -> &mut [u8]) -> Result<B> {
        let offset = self.rest.start;
        let wanted = space(&mut buffer).len();
        let at_hand = read_at_hand(&self.client, &self.file, space(&mut buffer), offset);
        if at_hand == wanted {
            return Ok(buffer);
        }
        let (file, key) = (Arc::clone(&self.file), self.key.clone());
        self.client
            .run(move |_| {
                read_exactly(&file, &mut space(&mut buffer)[at_hand..], offset + at_hand as u64, &key)?;
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
