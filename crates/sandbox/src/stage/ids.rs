//! Who the confined program is, on the host and inside.

use crate::spec::{JailSpec, Mount};
use crate::sys;
use crate::wire::{StageError, Step};
use rustix::process::Pid;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

/// The owner of a file on the host.
pub(crate) type Owner = (u32, u32);

pub(crate) struct Ids {
    inside: Owner,
    outside: Owner,
    privileged: bool,
    /// For each owner of a bind that is to look like the program's own: a user namespace that
    /// maps that owner to the program's id on the host.
    owners: BTreeMap<Owner, OwnedFd>,
}

impl Ids {
    /// Root gives the program an id that owns nothing; anyone else can only give their own.
    pub(crate) fn choose(spec: &JailSpec, missing: &mut Vec<String>) -> Result<Self, StageError> {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        let inside = (spec.uid, spec.gid);
        let privileged = uid.is_root()
            && {
                use rustix::thread::CapabilitySet as C;
                let have = rustix::thread::capabilities(None).step("read capabilities")?.effective;
                let want = C::SYS_ADMIN | C::SETUID | C::SETGID | C::NET_ADMIN;
                if !have.contains(want) {
                    missing.push(
                    "root without CAP_SYS_ADMIN: the program keeps root's id on the host, though none of its powers".into(),
                );
                }
                have.contains(want)
            };
        if !privileged {
            let outside = (uid.as_raw(), gid.as_raw());
            return Ok(Self { inside, outside, privileged, owners: BTreeMap::new() });
        }
        let mut ids = Self {
            inside,
            outside: (spec.host_id, spec.host_id),
            privileged,
            owners: BTreeMap::new(),
        };
        for mount in &spec.mounts {
            let Mount::Bind { from, own: true, optional, .. } = mount else { continue };
            let source = match super::mounts::open_source(from) {
                Ok(source) => source,
                Err(e) if *optional && e.is_missing() => continue,
                Err(e) => return Err(e.into_stage("open", from)),
            };
            let owner = owner_of(&source).step_on("look at", from)?;
            if !ids.owners.contains_key(&owner) {
                let userns = user_namespace(owner, ids.outside)?;
                ids.owners.insert(owner, userns);
            }
        }
        Ok(ids)
    }

    /// Of a process that stays who it is.
    pub(crate) fn unchanged() -> Self {
        let id = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { inside: id, outside: id, privileged: false, owners: BTreeMap::new() }
    }

    /// The descriptors that are held here, to be kept by a process that keeps only what it is
    /// told to, and given back by [`Ids::take`] there.
    pub(crate) fn give(&self) -> std::io::Result<Vec<OwnedFd>> {
        self.owners.values().map(OwnedFd::try_clone).collect()
    }

    /// These ids with the descriptors that became of those of [`Ids::give`].
    pub(crate) fn take(&self, fds: Vec<OwnedFd>) -> Self {
        Self {
            inside: self.inside,
            outside: self.outside,
            privileged: self.privileged,
            owners: self.owners.keys().copied().zip(fds).collect(),
        }
    }

    /// Whether the launcher is root with its powers.
    pub(crate) fn privileged(&self) -> bool {
        self.privileged
    }

    /// The program's ids as seen inside.
    pub(crate) fn inside(&self) -> Owner {
        self.inside
    }

    /// The owner that a file system made by init is given, in the terms of init's own namespace.
    pub(crate) fn fs_owner(&self) -> Owner {
        if self.privileged { self.outside } else { self.inside }
    }

    /// The user namespace that makes files of `owner` the program's own.
    pub(crate) fn userns_for(&self, owner: Owner) -> Option<&OwnedFd> {
        self.owners.get(&owner)
    }

    /// Maps the one id of the jail. Written from outside, where the right to do so lies.
    pub(crate) fn write_maps(&self, pid: Pid) -> Result<(), StageError> {
        write_maps(pid, self.inside, self.outside)
    }
}

pub(crate) fn owner_of(fd: &OwnedFd) -> Result<Owner, rustix::io::Errno> {
    let stat = rustix::fs::fstat(fd)?;
    Ok((stat.st_uid, stat.st_gid))
}

fn write_maps(pid: Pid, inside: Owner, outside: Owner) -> Result<(), StageError> {
    let pid = pid.as_raw_nonzero();
    let write = |file: &str, text: &str| {
        let path = format!("/proc/{pid}/{file}");
        std::fs::write(&path, text).map_err(|e| {
            StageError::new("write id map", e)
                .path(&path)
                .hint("needs /proc, and a user namespace that this user made")
        })
    };
    write("setgroups", "deny")?;
    write("uid_map", &format!("{} {} 1\n", inside.0, outside.0))?;
    write("gid_map", &format!("{} {} 1\n", inside.1, outside.1))
}

/// A user namespace that exists only for its map.
fn user_namespace(inside: Owner, outside: Owner) -> Result<OwnedFd, StageError> {
    sys::with_namespaces(libc::CLONE_NEWUSER, |pid| {
        write_maps(pid, inside, outside)?;
        let path = format!("/proc/{}/ns/user", pid.as_raw_nonzero());
        let file = std::fs::File::open(&path).step_on("open", &path)?;
        sys::raise(file.into(), super::ABOVE).step_on("open", &path)
    })
    .map_err(|e| StageError::new("make a user namespace", e).hint(super::NO_NAMESPACES))?
}
