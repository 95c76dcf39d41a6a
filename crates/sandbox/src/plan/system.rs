//! The operating system as every jail sees it: read-only, and only what programs need.

use crate::spec::Mount;

/// Programs and libraries.
const TREES: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// Of /etc what programs need to run; nothing that says who uses the host or how it is reached.
const ETC: &[&str] = &[
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/pki",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl",
    "/etc/terminfo",
    "/etc/timezone",
];

const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

const LINKS: &[(&str, &str)] = &[
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/var/tmp", "/tmp"),
];

/// Sizes of what is kept in memory.
pub(crate) struct Memory {
    pub(crate) tmp: u64,
    pub(crate) shm: u64,
}

/// The mounts that every jail starts with.
pub(crate) fn system(name: &str, uid: u32, gid: u32, home: &str, memory: &Memory) -> Vec<Mount> {
    let file = |to: &str, content: String| Mount::File { to: to.into(), content };
    let mut mounts: Vec<Mount> =
        TREES.iter().chain(ETC).map(|p| Mount::System { path: (*p).into() }).collect();
    mounts.extend([
        file(
            "/etc/passwd",
            format!(
                "agent:x:{uid}:{gid}:agent:{home}:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            ),
        ),
        file("/etc/group", format!("agent:x:{gid}:\nnogroup:x:65534:\n")),
        file("/etc/hosts", format!("127.0.0.1 localhost {name}\n::1 localhost\n")),
        file("/etc/hostname", format!("{name}\n")),
        file(
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n".into(),
        ),
        // There is no name server: names are resolved by the egress proxy.
        file("/etc/resolv.conf", String::new()),
        Mount::Proc { to: "/proc".into(), pids_only: false },
    ]);
    mounts.extend(DEVICES.iter().map(|p| Mount::Device { path: (*p).into() }));
    mounts.extend(
        LINKS
            .iter()
            .map(|(to, target)| Mount::Symlink { to: (*to).into(), target: (*target).into() }),
    );
    let tmpfs = |to: &str, mode, size, exec| Mount::Tmpfs {
        to: to.into(),
        mode,
        size,
        // One file for each 4 KiB page at most: many small files are bounded like few large.
        inodes: (size / 4096).max(1024),
        exec,
    };
    mounts.push(tmpfs("/dev/shm", 0o1777, memory.shm, false));
    mounts.push(tmpfs("/tmp", 0o1777, memory.tmp, true));
    mounts
}
