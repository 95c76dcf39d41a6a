//! Listening TCP sockets, from `/proc/net/tcp` and `/proc/net/tcp6`.

use super::processes::Holders;
use seawall_audit::facts::{Fact, Listener};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) fn listeners(holders: &Holders) -> Fact<Vec<Listener>> {
    let mut out = Vec::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match fs::read_to_string(path) {
            Ok(text) => out.extend(parse(&text, holders)),
            // A kernel without IPv6 has no such file.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && path.ends_with('6') => {}
            Err(e) => return Fact::unknown(format!("{path}: {e}"), "sudo ss -tlnp"),
        }
    }
    out.sort_by_key(|listener: &Listener| (listener.port, listener.address));
    out.dedup_by_key(|listener| (listener.port, listener.address));
    Fact::Known(out)
}

/// The inodes of the sockets that listen on a port.
pub(super) fn inodes(port: u16) -> Vec<u64> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| text.lines().filter_map(|line| inode(line, port)).collect::<Vec<_>>())
        .collect()
}

fn inode(line: &str, port: u16) -> Option<u64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let local = words.get(1)?.rsplit_once(':')?.1;
    let listens = *words.get(3)? == "0A" && u16::from_str_radix(local, 16).ok()? == port;
    if listens { words.get(9)?.parse().ok() } else { None }
}

fn parse(text: &str, holders: &Holders) -> Vec<Listener> {
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
            let inode: u64 = words.nth(1)?.parse().ok()?;
            let (address, port) = local.split_once(':')?;
            Some(Listener {
                address: self::address(address)?,
                port: u16::from_str_radix(port, 16).ok()?,
                uid,
                process: holders.of(inode),
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
        let Fact::Known(all) = listeners(&Holders::collect()) else { panic!() };
        let own = all.iter().find(|listener| listener.port == port).unwrap();
        assert!(!own.exposed());
        assert_eq!(own.uid, rustix::process::geteuid().as_raw());
        assert!(own.process.as_deref().unwrap().contains(&std::process::id().to_string()));
    }
}
