//! Sockets of a jail's network for a process outside.

use crate::wire;
use rustix::net::RecvFlags;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The request for a TCP socket.
pub(crate) const TCP: &[u8] = b"t";

/// How long a jail's first process, which does nothing else, may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes sockets that belong to a jail's network: connecting one reaches what listens inside.
///
/// It is a descriptor, so it can be passed to another process. Several threads and processes may
/// ask at the same time: all answers are alike, so it does not matter who gets which.
#[derive(Debug)]
pub struct SocketFactory(OwnedFd);

impl SocketFactory {
    /// A new, unconnected IPv4 TCP socket of the jail. Takes some tens of microseconds.
    ///
    /// # Errors
    /// When the jail is gone, or does not answer within two seconds.
    pub fn tcp(&self) -> io::Result<OwnedFd> {
        set_socket_timeout(&self.0, Timeout::Recv, Some(PATIENCE))?;
        wire::send(self.0.as_fd(), TCP, &[])?;
        let (answer, fds) = wire::receive(self.0.as_fd(), RecvFlags::empty())?;
        match (answer.as_slice(), fds.into_iter().next()) {
            (b"k", Some(socket)) => Ok(socket),
            (b"", _) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the jail has ended")),
            _ => Err(io::Error::other("the jail could not make a socket")),
        }
    }

    /// Another handle to the same factory.
    ///
    /// # Errors
    /// When this process has too many open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

impl AsFd for SocketFactory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for SocketFactory {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<SocketFactory> for OwnedFd {
    fn from(factory: SocketFactory) -> Self {
        factory.0
    }
}
