//! Messages with descriptors between the supervisor and the guard: JSON over a `SOCK_SEQPACKET`
//! pair, one message per packet, descriptors beside it.

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::unix::AsyncFd;

/// Longest message. The largest is the answer to `status`.
const MAX_MESSAGE: usize = 128 * 1024;

/// Most descriptors beside one message: the kernel's own limit is 253; forwards are few.
const MAX_FDS: usize = 64;

/// One end.
pub(crate) struct Channel {
    fd: AsyncFd<OwnedFd>,
}

/// A connected pair: one end for this process, the other to be inherited by the child.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (a, b) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    for end in [&a, &b] {
        rustix::net::sockopt::set_socket_send_buffer_size(end, 2 * MAX_MESSAGE)?;
    }
    Ok((a, b))
}

impl Channel {
    /// Wraps one end; needs a runtime.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Self { fd: async_fd(fd)? })
    }

    /// Sends a message. The descriptors are duplicated by the kernel.
    pub(crate) async fn send<T: Serialize>(
        &self,
        message: &T,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        if bytes.len() > MAX_MESSAGE || fds.len() > MAX_FDS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "message is too large"));
        }
        loop {
            let mut guard = self.fd.writable().await?;
            let sent = guard.try_io(|fd| {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if !fds.is_empty() {
                    control.push(SendAncillaryMessage::ScmRights(fds));
                }
                rustix::net::sendmsg(fd, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)
                    .map_err(io::Error::from)
            });
            if let Ok(sent) = sent {
                return sent.map(drop);
            }
        }
    }

    /// Receives a message; `None` when the other end is closed.
    pub(crate) async fn recv<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut bytes = vec![0u8; MAX_MESSAGE];
        loop {
            let mut guard = self.fd.readable().await?;
            let Ok(received) =
                guard.try_io(|fd| receive(fd.as_fd(), &mut bytes).map_err(io::Error::from))
            else {
                continue;
            };
            let (len, fds) = received?;
            if len == 0 {
                return Ok(None);
            }
            return Ok(Some((serde_json::from_slice(bytes.get(..len).unwrap_or_default())?, fds)));
        }
    }
}

/// Registers a descriptor with the runtime.
pub(crate) fn async_fd(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(
        deprecated,
        reason = "an OwnedFd keeps its descriptor open for as long as it lives, which is all that the unsafe replacement asks for"
    )]
    AsyncFd::new(fd)
}

fn receive(fd: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::net::recvmsg(
        fd,
        &mut [IoSliceMut::new(bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            fds.extend(received);
        }
    }
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(Errno::MSGSIZE);
    }
    Ok((message.bytes, fds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[tokio::test]
    async fn messages_and_descriptors_arrive() {
        let (a, b) = pair().unwrap();
        let (a, b) = (Channel::new(a).unwrap(), Channel::new(b).unwrap());
        let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        a.send(&vec!["hello"], &[far.as_fd()]).await.unwrap();
        drop(far);
        let (message, mut fds) = b.recv::<Vec<String>>().await.unwrap().unwrap();
        assert_eq!(message, ["hello"]);
        let mut received = std::os::unix::net::UnixStream::from(fds.remove(0));
        near.write_all(b"x").unwrap();
        let mut one = [0];
        received.read_exact(&mut one).unwrap();
        assert_eq!(&one, b"x");
        drop(a);
        assert!(b.recv::<Vec<String>>().await.unwrap().is_none());
    }
}
