//! Processes that live for one measurement: how soon they answer, and what they need to be there.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::{Setting, answers, listings, transfers};
use crate::bench::instance::Instance;
use crate::bench::meter::{Memory, memory};
use crate::bench::row::Sample;
use crate::bench::store::Storage;
use crate::bench::subject::Subject;

/// A garbage collector has run by then, and pools have gone to sleep.
const REST: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 1000;
const STREAMS: u32 = 4;

/// The second start: the first one makes the store.
pub(super) fn start_empty(subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    let mut fresh = Fresh::like(subject, setting)?;
    fresh.instance.restart()?;
    Ok(plain(fresh.instance.started_in.as_secs_f64() * 1000.0))
}

pub(super) fn start_filled(subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    listings::fill(subject, setting)?;
    let instance = subject.instance().ok_or(NOT_OURS)?;
    instance.restart()?;
    Ok(plain(instance.started_in.as_secs_f64() * 1000.0))
}

pub(super) fn idle_memory(subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    let fresh = Fresh::like(subject, setting)?;
    thread::sleep(REST);
    Ok(plain(memory(fresh.instance.pid(), Memory::Resident)?))
}

pub(super) fn peak_memory(subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    let files = transfers::fresh(STREAMS, transfers::MEBIBYTES / u64::from(STREAMS), setting)?;
    let fresh = Fresh::like(subject, setting)?;
    transfers::push_all(&files, &fresh.instance.url())?;
    Ok(plain(memory(fresh.instance.pid(), Memory::Peak)?))
}

/// What the process grew by.
pub(super) fn idle_connections(subject: &mut Subject, setting: &Setting) -> Result<Sample, String> {
    let fresh = Fresh::like(subject, setting)?;
    // What the first answers need is not the connections'.
    answers::fill(&fresh.instance.url(), setting)?;
    thread::sleep(REST);
    let before = memory(fresh.instance.pid(), Memory::Resident)?;
    let connections: Result<Vec<_>, _> = (0..CONNECTIONS).map(|_| connect(&fresh.instance)).collect();
    let connections = connections.map_err(|error| format!("connecting: {error}"))?;
    thread::sleep(REST);
    let after = memory(fresh.instance.pid(), Memory::Resident)?;
    let open = connections.iter().filter(|connection| is_open(connection)).count();
    if open < CONNECTIONS {
        return Err(format!("{open} of {CONNECTIONS} connections stayed open"));
    }
    Ok(plain(after - before))
}

const NOT_OURS: &str = "only a process of our own can be started again";

/// A registry of the same kind with nothing in it, and its directory; both go when it goes.
pub(super) struct Fresh {
    instance: Instance,
    home: TempDir,
}

impl Fresh {
    pub(super) fn like(subject: &mut Subject, setting: &Setting) -> Result<Self, String> {
        Self::start(subject, setting, |storage, name| match storage {
            Storage::Directory | Storage::SmallCache => Storage::Directory,
            Storage::Place(place) => Storage::Place(place.named(name)),
        })
    }

    /// One on the same place of an object store, that sends blobs itself.
    pub(super) fn without_redirects(subject: &mut Subject, setting: &Setting) -> Result<Self, String> {
        Self::start(subject, setting, |storage, _| match storage {
            Storage::Directory | Storage::SmallCache => Storage::Directory,
            Storage::Place(place) => Storage::Place(place.without_redirects()),
        })
    }

    /// `storage` makes its storage of the subject's and a new name.
    fn start(
        subject: &mut Subject,
        setting: &Setting,
        storage: impl FnOnce(&Storage, &str) -> Storage,
    ) -> Result<Self, String> {
        let home = tempfile::tempdir_in(&setting.directory).map_err(|error| error.to_string())?;
        let mut recipe = subject.instance().ok_or(NOT_OURS)?.recipe.clone();
        let name = home.path().file_name().unwrap_or_default().to_string_lossy().replace('.', "");
        recipe.storage = storage(&recipe.storage, &name);
        Ok(Self { instance: Instance::start(&recipe, home.path())?, home })
    }

    pub(super) fn url(&self) -> String {
        self.instance.url()
    }

    pub(super) fn pid(&self) -> u32 {
        self.instance.pid()
    }

    /// See [`Instance::metric`].
    pub(super) fn metric(&self, name: &str, label: &str) -> Result<f64, String> {
        self.instance.metric(name, label)
    }

    /// Stops it and deletes what it stored.
    pub(super) fn remove(self) {
        let storage = self.instance.recipe.storage.clone();
        drop(self.instance);
        if let Storage::Place(place) = storage {
            place.clear();
        }
        drop(self.home);
    }
}

fn plain(value: f64) -> Sample {
    Sample { value, ..Sample::default() }
}

/// A connection over which one answer came.
fn connect(instance: &Instance) -> std::io::Result<TcpStream> {
    let address = instance.url();
    let mut connection = TcpStream::connect(address.trim_start_matches("http://"))?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    connection.write_all(b"GET /v2/ HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    let mut answer = [0; 4096];
    let length = connection.read(&mut answer)?;
    match &answer[..length] {
        fine if fine.starts_with(b"HTTP/1.1 200 ") => Ok(connection),
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

/// Whether the other side has not closed it: then there is nothing to read, not even its end. A rest of the
/// answer may have come late.
fn is_open(mut connection: &TcpStream) -> bool {
    let mut rest = [0; 4096];
    let read = connection.set_nonblocking(true).and_then(|()| connection.read(&mut rest));
    match read {
        Ok(length) => length > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_connection_counts_as_open_until_the_other_side_closes_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (other, _) = listener.accept().unwrap();

        assert!(is_open(&connection));
        drop(other);
        connection.set_nonblocking(false).unwrap();
        connection.peek(&mut [0]).unwrap();
        assert!(!is_open(&connection));
    }
}
