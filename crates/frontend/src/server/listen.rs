//! Binding: TCP on both families, unix sockets without tripping over a dead process's file.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, Socket, Type};

use super::Address;
use crate::config::{BuildError, Endpoint, Listener};

/// A socket that listens.
pub(super) enum Bound {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, PathBuf),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Tcp(_, address) => write!(f, "{address}"),
            Bound::Unix(_, path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Bound {
    pub(super) fn address(&self, secure: bool) -> Address {
        match self {
            Bound::Tcp(_, address) => Address::Tcp { address: *address, secure },
            Bound::Unix(_, path) => Address::Unix(path.clone()),
        }
    }

    pub(super) fn socket_file(&self) -> Option<SocketFile> {
        match self {
            Bound::Tcp(..) => None,
            Bound::Unix(_, path) => Some(SocketFile(path.clone())),
        }
    }
}

/// Removes the file of a unix socket when the server is over.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already, or not ours to remove any more: either way nothing is lost.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Connections the kernel holds while all workers are busy.
const BACKLOG: i32 = 1024;

pub(super) fn bind(listener: &Listener) -> Result<Bound, BuildError> {
    let (place, bound) = match &listener.endpoint {
        Endpoint::Tcp(address) => (address.to_string(), bind_tcp(*address)),
        Endpoint::Unix(path) => (path.display().to_string(), bind_unix(path)),
    };
    bound.map_err(|source| BuildError::Listen { place, source })
}

fn bind_tcp(address: SocketAddr) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` means everybody, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok(Bound::Tcp(listener, address))
}

fn bind_unix(path: &Path) -> io::Result<Bound> {
    remove_if_dead(path)?;
    let listener = UnixListener::bind(path)?;
    Ok(Bound::Unix(listener, path.to_owned()))
}

/// A socket file on which nobody listens is what a killed process leaves behind.
fn remove_if_dead(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
            Err(_) => std::fs::remove_file(path),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
