//! The jail's network: a loopback interface, sockets that are listening before the program
//! starts, and one socket at a time for whoever holds the factory.

use crate::spec::Listener;
use crate::sys;
use crate::wire::{self, Report, StageError, Step};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub(crate) fn up() -> Result<(), StageError> {
    let socket = tcp().step("make a socket")?;
    sys::loopback_up(socket.as_fd()).step("bring the loopback interface up")
}

pub(crate) fn listen(control: &OwnedFd, listeners: &[Listener]) -> Result<(), StageError> {
    for wanted in listeners {
        let what = format!("127.0.0.1:{} ({})", wanted.port, wanted.name);
        let socket =
            TcpListener::bind((Ipv4Addr::LOCALHOST, wanted.port)).step_on("listen", &what)?;
        let port = socket.local_addr().step_on("listen", &what)?.port();
        let report = Report::Listener { name: wanted.name.clone(), port };
        wire::report(control.as_fd(), &report, Some(&OwnedFd::from(socket)))
            .step_on("hand out", &what)?;
    }
    Ok(())
}

/// Makes an unconnected TCP socket.
pub(crate) fn tcp() -> Result<OwnedFd, rustix::io::Errno> {
    rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

/// Answers one request of the factory. Returns whether there may be another.
pub(crate) fn serve(factory: BorrowedFd<'_>) -> bool {
    match wire::receive(factory, rustix::net::RecvFlags::DONTWAIT) {
        Ok((request, _)) if request.as_slice() == crate::factory::TCP => match tcp() {
            Ok(socket) => wire::send(factory, b"k", &[socket.as_fd()]).is_ok(),
            Err(_) => wire::send(factory, b"e", &[]).is_ok(),
        },
        Ok((request, _)) => !request.is_empty(),
        Err(e) => matches!(e, rustix::io::Errno::AGAIN | rustix::io::Errno::INTR),
    }
}
