//! What passes between a launcher and the jail that it started: small JSON messages over a
//! `SOCK_SEQPACKET` pair, some with one descriptor.

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Longest message. The longest is a failure with a path and a hint.
const MAX_MESSAGE: usize = 16 * 1024;

/// From the jail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Report {
    /// A listening socket (with descriptor).
    Listener { name: String, port: u16 },
    /// The other end of the socket factory (with descriptor).
    Factory,
    /// The program runs (with its pidfd).
    Started { facts: Facts },
    /// The jail could not be built. Nothing runs in it.
    Failed(StageError),
    /// The kernel refuses the program something.
    Refused(Refusal),
    /// More refusals than are told, by their number.
    RefusedMore { more: u64 },
    /// The program has ended.
    Exited(Exit),
    /// Limits that it met, in words; from whoever keeps its control groups, after its end.
    Exceeded { limits: Vec<String> },
}

/// Something that a program tried and the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// `write`, `make`, `remove`, `rename`, `replace`, `change` or `connect`.
    pub action: String,
    /// Path inside, or address.
    pub target: String,
    /// Name of the program, as it calls itself.
    pub program: String,
}

/// To the jail's first process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Order {
    /// Ask to end.
    Stop = b'S',
    /// Kill everything.
    Kill = b'K',
}

/// What holds in a jail, as seen while it was built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Landlock ABI in force; 0 for none.
    pub landlock: u32,
    /// Seccomp filters in force.
    pub seccomp: u32,
    /// Whether the program has an id of its own on the host.
    pub own_id: bool,
    /// What was asked for and could not be had, in words.
    pub missing: Vec<String>,
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step}{}: {error}{}", path.as_ref().map(|p| format!(" `{p}`")).unwrap_or_default(), if hint.is_empty() { String::new() } else { format!(" ({hint})") })]
pub struct StageError {
    /// What was being done.
    pub step: String,
    /// On what.
    pub path: Option<String>,
    /// The system's answer.
    pub error: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl StageError {
    pub(crate) fn new(step: &str, error: impl std::fmt::Display) -> Self {
        Self { step: step.into(), path: None, error: error.to_string(), hint: String::new() }
    }

    pub(crate) fn path(mut self, path: &str) -> Self {
        self.path = Some(path.into());
        self
    }

    pub(crate) fn hint(mut self, hint: &str) -> Self {
        self.hint = hint.into();
        self
    }
}

/// Turns an error into a [`StageError`] that names the step.
pub(crate) trait Step<T> {
    fn step(self, step: &str) -> Result<T, StageError>;
    fn step_on(self, step: &str, path: &str) -> Result<T, StageError>;
}

impl<T, E: std::fmt::Display> Step<T> for Result<T, E> {
    fn step(self, step: &str) -> Result<T, StageError> {
        self.map_err(|e| StageError::new(step, e))
    }
    fn step_on(self, step: &str, path: &str) -> Result<T, StageError> {
        self.map_err(|e| StageError::new(step, e).path(path))
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with a code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// The jail reached its wall-clock limit.
    Timeout,
    /// The jail went away without saying how (it was killed).
    Gone,
}

impl Exit {
    /// The exit code that a shell would show.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128i32.saturating_add(signal),
            Exit::Timeout => 124,
            Exit::Gone => 137,
        }
    }
}

/// Sends bytes and at most one descriptor.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    loop {
        match rustix::net::sendmsg(
            socket,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// Receives one message and the descriptors that came with it. An empty message is the end.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    flags: RecvFlags,
) -> Result<(Vec<u8>, Vec<OwnedFd>), Errno> {
    let mut bytes = vec![0u8; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = loop {
        match rustix::net::recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            flags | RecvFlags::CMSG_CLOEXEC,
        ) {
            Ok(got) => break got,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(list) = message {
            fds.extend(list);
        }
    }
    bytes.truncate(got.bytes);
    Ok((bytes, fds))
}

/// Receives a word of one byte. None: the other end is closed, or said something else.
pub(crate) fn hear(socket: BorrowedFd<'_>) -> Result<Option<u8>, Errno> {
    let mut word = [0u8; 2];
    loop {
        match rustix::net::recv(socket, &mut word, RecvFlags::empty()) {
            Ok((1, _)) => return Ok(word.first().copied()),
            Ok(_) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// Sends a report.
pub(crate) fn report(
    socket: BorrowedFd<'_>,
    report: &Report,
    fd: Option<&OwnedFd>,
) -> Result<(), Errno> {
    let bytes = serde_json::to_vec(report).map_err(|_| Errno::INVAL)?;
    let fds: Vec<BorrowedFd<'_>> = fd.map(AsFd::as_fd).into_iter().collect();
    send(socket, bytes.get(..bytes.len().min(MAX_MESSAGE)).unwrap_or_default(), &fds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_step_path_and_hint() {
        let error = StageError::new("bind", "denied").path("/x").hint("give it");
        assert_eq!(error.to_string(), "bind `/x`: denied (give it)");
        assert_eq!(StageError::new("bind", "denied").to_string(), "bind: denied");
    }

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(Exit::Code(3).code(), 3);
        assert_eq!(Exit::Signal(9).code(), 137);
        assert_eq!(Exit::Timeout.code(), 124);
    }
}
