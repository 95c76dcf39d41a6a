//! Listening TCP sockets: asked of the kernel's socket diagnosis, which lists these alone, and where
//! there is none, read from `/proc/net/tcp` and `/proc/net/tcp6`. Those walk through every connection
//! of the host, which takes longer than the rest of an audit.

use super::processes::Holders;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto,
    socket_with, sockopt,
};
use seawall_audit::facts::{Fact, Listener};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Listening sockets that are looked at: a host has dozens.
const MAX_SOCKETS: usize = 65_536;

/// A listening socket, as the kernel tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Socket {
    address: IpAddr,
    pub(super) port: u16,
    uid: u32,
    pub(super) inode: u64,
}

/// All listening sockets, or why they are not known.
pub(super) fn all() -> Result<Vec<Socket>, String> {
    match diagnosed() {
        Ok(found) => Ok(found),
        Err(_) => listed(),
    }
}

pub(super) fn listeners(
    sockets: &Result<Vec<Socket>, String>,
    holders: &Holders,
) -> Fact<Vec<Listener>> {
    let sockets = match sockets {
        Ok(sockets) => sockets,
        Err(why) => return Fact::unknown(why.clone(), "sudo ss -tlnp"),
    };
    let mut out: Vec<Listener> = sockets
        .iter()
        .map(|socket| Listener {
            address: socket.address,
            port: socket.port,
            uid: socket.uid,
            process: holders.of(socket.inode),
        })
        .collect();
    out.sort_by_key(|listener: &Listener| (listener.port, listener.address));
    out.dedup_by_key(|listener| (listener.port, listener.address));
    Fact::Known(out)
}

// Of `linux/netlink.h`, `linux/sock_diag.h` and `linux/inet_diag.h`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const REQUEST_DUMP: u16 = 0x301;
const DONE: u16 = 3;
const ERROR: u16 = 2;
/// A bit for each state; 10 is LISTEN.
const LISTEN: u32 = 1 << 10;
const TCP: u8 = 6;
const HEADER: usize = 16;
const INTERRUPTED: u16 = 0x10;

/// What the kernel's socket diagnosis lists.
fn diagnosed() -> Result<Vec<Socket>, String> {
    let mut out = Vec::new();
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        dump(family, &mut out).map_err(|e| e.to_string())?;
    }
    Ok(out)
}

fn dump(family: AddressFamily, out: &mut Vec<Socket>) -> rustix::io::Result<()> {
    let fd = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(Duration::from_secs(2)))?;
    let code = u8::try_from(family.as_raw()).map_err(|_| rustix::io::Errno::INVAL)?;
    // The header, then a request with a socket's id of zeroes: any.
    let mut request = Vec::with_capacity(72);
    request.extend(72_u32.to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(REQUEST_DUMP.to_ne_bytes());
    request.extend([0; 8]);
    request.extend([code, TCP, 0, 0]);
    request.extend(LISTEN.to_ne_bytes());
    request.resize(72, 0);
    sendto(&fd, &request, SendFlags::empty(), &netlink::SocketAddrNetlink::new(0, 0))?;
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        let (size, whole) = recv(&fd, buffer.as_mut_slice(), RecvFlags::empty())?;
        if size == 0 || whole > size {
            return Err(rustix::io::Errno::IO);
        }
        if messages(buffer.get(..size).unwrap_or_default(), out)? {
            return Ok(());
        }
        if out.len() > MAX_SOCKETS {
            return Err(rustix::io::Errno::TOOBIG);
        }
    }
}

/// Reads the messages of one datagram; whether the last one was among them.
fn messages(mut bytes: &[u8], out: &mut Vec<Socket>) -> rustix::io::Result<bool> {
    let broken = rustix::io::Errno::BADMSG;
    while bytes.len() >= HEADER {
        let length = usize::try_from(word(bytes, 0).ok_or(broken)?).map_err(|_| broken)?;
        let message = bytes.get(..length).filter(|_| length >= HEADER).ok_or(broken)?;
        let kind = half(message, 4).ok_or(broken)?;
        // The list changed while it was told: it may lack something.
        if half(message, 6).ok_or(broken)? & INTERRUPTED != 0 {
            return Err(rustix::io::Errno::AGAIN);
        }
        match kind {
            DONE => return Ok(true),
            ERROR => return Err(rustix::io::Errno::IO),
            SOCK_DIAG_BY_FAMILY => {
                out.push(socket(message.get(HEADER..).unwrap_or_default()).ok_or(broken)?);
            }
            _ => {}
        }
        // Each begins at a multiple of four.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// `struct inet_diag_msg`.
fn socket(message: &[u8]) -> Option<Socket> {
    let source: [u8; 16] = message.get(8..24)?.try_into().ok()?;
    let address = match AddressFamily::from_raw((*message.first()?).into()) {
        AddressFamily::INET => {
            let four: [u8; 4] = source.get(..4)?.try_into().ok()?;
            IpAddr::V4(Ipv4Addr::from(four))
        }
        AddressFamily::INET6 => IpAddr::V6(Ipv6Addr::from(source)),
        _ => return None,
    };
    Some(Socket {
        address,
        port: u16::from_be_bytes(message.get(4..6)?.try_into().ok()?),
        uid: word(message, 64)?,
        inode: word(message, 68)?.into(),
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// What `/proc` lists.
fn listed() -> Result<Vec<Socket>, String> {
    let mut out = Vec::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match fs::read_to_string(path) {
            Ok(text) => out.extend(parse(&text)),
            // A kernel without IPv6 has no such file.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && path.ends_with('6') => {}
            Err(e) => return Err(format!("{path}: {e}")),
        }
    }
    Ok(out)
}

fn parse(text: &str) -> Vec<Socket> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let local = words.nth(1)?;
            let state = words.nth(1)?;
            // 0A is LISTEN.
            if state != "0A" {
                return None;
            }
            let uid = words.nth(3)?.parse().ok()?;
            let inode = words.nth(1)?.parse().ok()?;
            let (address, port) = local.split_once(':')?;
            Some(Socket {
                address: self::address(address)?,
                port: u16::from_str_radix(port, 16).ok()?,
                uid,
                inode,
            })
        })
        .collect()
}

/// The kernel prints each 32-bit word as a number of this machine's byte order.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes)
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0_u8; 16];
            for (slot, byte) in bytes.iter_mut().zip((0..4).filter_map(word).flatten()) {
                *slot = byte;
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let hex = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        assert_eq!(address(&hex([127, 0, 0, 1])), Some("127.0.0.1".parse().unwrap()));
        let six = format!("{}{}{}{}", hex([0; 4]), hex([0; 4]), hex([0; 4]), hex([0, 0, 0, 1]));
        assert_eq!(address(&six), Some("::1".parse().unwrap()));
        assert_eq!(address("xyz"), None);
    }

    #[test]
    fn an_own_socket_is_found_with_its_owner() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let Fact::Known(all) = listeners(&all(), &Holders::collect()) else { panic!() };
        let own = all.iter().find(|listener| listener.port == port).unwrap();
        assert!(!own.exposed());
        assert_eq!(own.uid, rustix::process::geteuid().as_raw());
        assert!(own.process.as_deref().unwrap().contains(&std::process::id().to_string()));
    }
    #[test]
    fn both_ways_to_ask_say_the_same() {
        let four = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let six = std::net::TcpListener::bind("[::1]:0").ok();
        let sockets = [Some(four), six];
        let ports: Vec<u16> =
            sockets.iter().flatten().map(|one| one.local_addr().unwrap().port()).collect();
        let own = |found: Vec<Socket>| -> Vec<Socket> {
            let mut found: Vec<_> =
                found.into_iter().filter(|one| ports.contains(&one.port)).collect();
            found.sort_by_key(|one| (one.port, one.address));
            found
        };
        let read = own(listed().unwrap());
        assert!(!read.is_empty());
        // A sandbox may refuse the socket; then the other way is taken.
        if let Ok(found) = diagnosed() {
            assert_eq!(own(found), read);
        }
    }

    #[test]
    fn messages_that_are_cut_are_refused() {
        let mut out = Vec::new();
        assert!(messages(&[0xff; 16], &mut out).is_err());
        assert!(messages(&[0; 20], &mut out).is_err());
        let mut done = 20_u32.to_ne_bytes().to_vec();
        done.extend(DONE.to_ne_bytes());
        done.extend([0; 14]);
        assert_eq!(messages(&done, &mut out), Ok(true));
        let mut changed = done.clone();
        if let Some(flags) = changed.get_mut(6..8) {
            flags.copy_from_slice(&INTERRUPTED.to_ne_bytes());
        }
        assert!(messages(&changed, &mut out).is_err());
        assert!(out.is_empty());
    }
}
