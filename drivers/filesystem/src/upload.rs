//! Uploads in parts: appended to a staging file, which becomes the object by getting its name.
//!
//! A part's tag is its offset in the staging file. Parts that one writer wrote in order lie in the file
//! as the object wants them, and completion costs the same whatever their size. After a crash or a race
//! of two writers they do not; then the named extents are copied into a new file.

mod direct;

use bytes::Bytes;
use entrepot_storage::{Error, ErrorKind, Key, ObjectMeta, Part, Result, Upload, UploadEntry};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, copy_file_range, fdatasync, fsync, ftruncate, statat};
use rustix::io::{Errno, pread};

use self::direct::write_part;
use crate::NAME;
use crate::client::Client;
use crate::error::{broken, of_write};
use crate::file::{is_object, meta, size, stamp};
use crate::place::open_place;
use crate::staging::{self, Staging, gone};
use crate::write::{Temporary, name_if_absent, write_all};

/// What is copied at a time where the kernel cannot copy by itself.
const COPY_BYTES: usize = 256 * 1024;

/// Appends one part.
pub(crate) fn part(client: &Client, upload: &Upload, number: u32, body: &[Bytes]) -> Result<Part> {
    let staging = Staging::lock(client, upload)?;
    if staging.is_named_elsewhere() {
        return Err(gone(upload));
    }
    let offset = size(&staging.stat);
    if let Err(errno) = write_part(&staging.file, body, offset) {
        // Without this the next part would lie behind a gap, and completion would have to copy.
        if let Err(errno) = ftruncate(&staging.file, offset) {
            tracing::warn!(%errno, upload = upload.id, "half a part stays in its staging file");
        }
        return Err(of_write(errno, Some(&upload.key)));
    }
    let size = body.iter().map(|piece| piece.len() as u64).sum();
    Ok(Part { number, size, tag: offset.to_string() })
}

/// Makes all parts survive a loss of power, and the names of the upload.
pub(crate) fn flush(client: &Client, upload: &Upload) -> Result<()> {
    let file = staging::open(client, upload)?;
    let failed = |errno| of_write(errno, Some(&upload.key));
    fdatasync(&file).map_err(failed)?;
    fsync(&client.uploads).map_err(failed)
}

/// Makes the object.
pub(crate) fn complete(client: &Client, upload: &Upload, parts: &[Part]) -> Result<ObjectMeta> {
    let extents = extents(upload, parts)?;
    let total = extents.iter().fold(0_u64, |total, extent| total.saturating_add(extent.length));
    let staging = match Staging::lock(client, upload) {
        Err(error) if error.kind() == ErrorKind::UploadGone => {
            return completed_before(client, upload, total);
        }
        outcome => outcome?,
    };
    if staging.is_named_elsewhere() && is_at(client, &staging, &upload.key)? {
        return finish(client, upload, &staging.stat);
    }
    let held = size(&staging.stat);
    if extents.iter().any(|extent| extent.offset.checked_add(extent.length).is_none_or(|end| end > held)) {
        return Err(mismatch(upload, "the staging file is shorter than its parts"));
    }
    let stat = if lies_in_order(&extents, held) {
        publish(client, &staging.file, (&client.uploads, &upload.id), &upload.key)?
    } else {
        let temporary = Temporary::create(client).map_err(|errno| of_write(errno, Some(&upload.key)))?;
        assemble(&staging.file, &temporary.file, &extents, &upload.key)?;
        let stat = publish(client, &temporary.file, temporary.source(), &upload.key)?;
        temporary.placed();
        stat
    };
    finish(client, upload, &stat)
}

/// Where one part lies in the staging file.
struct Extent {
    offset: u64,
    length: u64,
}

fn extents(upload: &Upload, parts: &[Part]) -> Result<Vec<Extent>> {
    if parts.is_empty() {
        return Err(mismatch(upload, "no parts were named"));
    }
    let extent = |(place, part): (u32, &Part)| match part.tag.parse() {
        Ok(offset) if part.number == place => Ok(Extent { offset, length: part.size }),
        _ => Err(mismatch(upload, "the parts are not numbered from 1 on, or are not ours")),
    };
    (1..).zip(parts).map(extent).collect()
}

/// Whether the file is the object as it stands. A longer one holds what an overtaken writer added; it is
/// not cut off, because until the object has its name another list of parts might still be the right one.
fn lies_in_order(extents: &[Extent], held: u64) -> bool {
    let end = extents.iter().try_fold(0, |end, extent| (extent.offset == end).then_some(end + extent.length));
    end == Some(held)
}

fn publish(client: &Client, file: &OwnedFd, source: (&OwnedFd, &str), key: &Key) -> Result<rustix::fs::Stat> {
    let failed = |errno| of_write(errno, Some(key));
    let stat = stamp(file).map_err(failed)?;
    fsync(file).map_err(failed)?;
    name_if_absent(client, source, key, None)?;
    Ok(stat)
}

/// Syncs the object's name and removes what the upload leaves.
fn finish(client: &Client, upload: &Upload, stat: &rustix::fs::Stat) -> Result<ObjectMeta> {
    let failed = |errno| of_write(errno, Some(&upload.key));
    if let Some(place) = open_place(client, &upload.key)? {
        fsync(&place.directory).map_err(failed)?;
    }
    staging::remove(client, upload)?;
    Ok(meta(&upload.key, stat))
}

/// An upload that is gone while its object is there was completed by an earlier call.
fn completed_before(client: &Client, upload: &Upload, total: u64) -> Result<ObjectMeta> {
    let Some(place) = open_place(client, &upload.key)? else { return Err(gone(upload)) };
    let failed = |errno| of_write(errno, Some(&upload.key));
    match statat(&place.directory, place.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if is_object(&stat).map_err(failed)? && size(&stat) == total => {
            // The earlier call may have died between naming the object and syncing the name.
            fsync(&place.directory).map_err(failed)?;
            Ok(meta(&upload.key, &stat))
        }
        Ok(_) | Err(Errno::NOENT) => Err(gone(upload)),
        Err(errno) => Err(failed(errno)),
    }
}

fn is_at(client: &Client, staging: &Staging, key: &Key) -> Result<bool> {
    let Some(place) = open_place(client, key)? else { return Ok(false) };
    match statat(&place.directory, place.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(stat.st_ino == staging.stat.st_ino),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(of_write(errno, Some(key))),
    }
}

fn assemble(from: &OwnedFd, to: &OwnedFd, extents: &[Extent], key: &Key) -> Result<()> {
    let mut written = 0;
    for extent in extents {
        copy(from, extent.offset, to, written, extent.length)
            .map_err(|errno| of_write(errno, Some(key)))?
            .then_some(())
            .ok_or_else(|| broken("the staging file became shorter", Some(key)))?;
        written += extent.length;
    }
    Ok(())
}

/// Copies `length` bytes; answers whether there were as many.
fn copy(
    from: &OwnedFd,
    mut start: u64,
    to: &OwnedFd,
    mut target: u64,
    length: u64,
) -> rustix::io::Result<bool> {
    let end = start + length;
    while start < end {
        let wanted = usize::try_from(end - start).unwrap_or(usize::MAX).min(1 << 30);
        // The call moves both offsets on.
        match copy_file_range(from, Some(&mut start), to, Some(&mut target), wanted) {
            Ok(0) => return Ok(false),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => {
                return copy_through_memory(from, start, to, target, end - start);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(true)
}

fn copy_through_memory(
    from: &OwnedFd,
    start: u64,
    to: &OwnedFd,
    target: u64,
    length: u64,
) -> rustix::io::Result<bool> {
    let mut done = 0;
    while done < length {
        let mut buffer = vec![0; usize::try_from(length - done).unwrap_or(usize::MAX).min(COPY_BYTES)];
        let read = match pread(from, &mut buffer, start + done) {
            Ok(0) => return Ok(false),
            Err(Errno::INTR) => continue,
            outcome => outcome?,
        };
        buffer.truncate(read);
        write_all(to, &[buffer.into()], target + done)?;
        done += read as u64;
    }
    Ok(true)
}

/// Gives an upload up.
pub(crate) fn abort(client: &Client, upload: &Upload) -> Result<()> {
    // Under the lock, so that a completion is not left without the file it is about to name.
    match Staging::lock(client, upload) {
        Err(error) if error.kind() != ErrorKind::UploadGone => Err(error),
        _held_or_gone => staging::remove(client, upload),
    }
}

/// Uploads in progress, in order of their keys.
pub(crate) fn list(
    client: &Client,
    prefix: &str,
    start_after: Option<&str>,
    limit: usize,
) -> Result<Vec<UploadEntry>> {
    let mut entries: Vec<_> = staging::in_progress(client)?
        .into_iter()
        .filter(|(upload, _)| upload.key.as_str().starts_with(prefix))
        .filter(|(upload, _)| start_after.is_none_or(|start| upload.key.as_str() > start))
        .map(|(upload, initiated)| UploadEntry { upload, initiated })
        .collect();
    entries.sort_by(|a, b| (&a.upload.key, &a.upload.id).cmp(&(&b.upload.key, &b.upload.id)));
    entries.truncate(limit);
    Ok(entries)
}

fn mismatch(upload: &Upload, reason: &'static str) -> Error {
    Error::new(NAME, ErrorKind::PartMismatch).at(&upload.key).because(reason)
}

#[cfg(test)]
mod tests {
    use rustix::fs::linkat;

    use super::*;
    use crate::Config;
    use crate::write::put;
    use entrepot_storage::PutMode;

    /// A store on a filesystem whose renames always replace, as NFS's do.
    fn without_exclusive_rename() -> (tempfile::TempDir, Client) {
        let directory = tempfile::tempdir().unwrap();
        let mut client = Client::open(&Config::at(directory.path())).unwrap();
        client.abilities.rename_noreplace = false;
        (directory, client)
    }

    fn filled(client: &Client, key: &Key) -> (Upload, Part) {
        let upload = staging::begin(client, key).unwrap();
        let part = part(client, &upload, 1, &[Bytes::from_static(b"content")]).unwrap();
        (upload, part)
    }

    #[test]
    fn a_link_takes_the_place_of_an_exclusive_rename() {
        let (directory, client) = without_exclusive_rename();
        let key: Key = "a/object".parse().unwrap();
        let (upload, part) = filled(&client, &key);

        complete(&client, &upload, &[part]).unwrap();
        let again = put(&client, &key, &Bytes::from_static(b"other"), &PutMode::IfAbsent).unwrap_err();

        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(directory.path().join("a/object")).unwrap(), "content");
        assert!(staging::in_progress(&client).unwrap().is_empty());
    }

    #[test]
    fn a_completion_cut_off_between_link_and_unlink_is_finished_by_the_next() {
        let (directory, client) = without_exclusive_rename();
        let key: Key = "object".parse().unwrap();
        let (upload, first) = filled(&client, &key);
        linkat(&client.uploads, &upload.id, &client.root, key.as_str(), AtFlags::empty()).unwrap();

        let late = part(&client, &upload, 2, &[Bytes::from_static(b"late")]).unwrap_err();
        let completed = complete(&client, &upload, &[first]).unwrap();

        assert_eq!(late.kind(), ErrorKind::UploadGone, "a visible object does not change");
        assert_eq!(completed.size, 7);
        assert_eq!(std::fs::read_to_string(directory.path().join("object")).unwrap(), "content");
        assert!(staging::in_progress(&client).unwrap().is_empty());
    }

    #[test]
    fn only_what_one_writer_wrote_in_order_is_taken_as_it_lies() {
        let extent = |offset, length| Extent { offset, length };

        assert!(lies_in_order(&[extent(0, 3), extent(3, 4)], 7));
        assert!(!lies_in_order(&[extent(0, 3), extent(3, 4)], 8), "a tail of somebody else's");
        assert!(!lies_in_order(&[extent(0, 3), extent(4, 3)], 7), "a gap");
        assert!(!lies_in_order(&[extent(4, 3), extent(0, 4)], 7), "another order");
    }
}
