//! From granted paths to mounts that give exactly that, whatever the order and nesting.

use crate::spec::{Access, Mount, parent_of, within};
use std::collections::BTreeMap;

/// A path of the host that a jail sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// On the host, links resolved.
    pub from: String,
    /// Inside.
    pub to: String,
    /// Read-only or not.
    pub access: Access,
    /// Whether the files look like the program's own (see [`Mount::Bind`]).
    pub own: bool,
    /// Whether it may be missing.
    pub optional: bool,
}

impl Grant {
    /// Read-only, the same path inside.
    #[must_use]
    pub fn ro(path: &str) -> Self {
        Self { from: path.into(), to: path.into(), access: Access::Ro, own: true, optional: false }
    }

    /// Writable, the same path inside.
    #[must_use]
    pub fn rw(path: &str) -> Self {
        Self { access: Access::Rw, ..Self::ro(path) }
    }

    /// At another path inside.
    #[must_use]
    pub fn at(mut self, to: &str) -> Self {
        self.to = to.into();
        self
    }

    /// May be missing.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

/// Orders grants so that each takes effect: wide before narrow, the stricter of two for one
/// place, nothing twice, and every folder between a writable grant and a read-only one below it
/// pinned.
#[must_use]
pub fn layout(grants: &[Grant]) -> Vec<Mount> {
    // Sorted by path, so that a folder comes before what lies in it.
    let mut by_place: BTreeMap<&str, &Grant> = BTreeMap::new();
    for grant in grants {
        by_place
            .entry(&grant.to)
            .and_modify(|have| {
                if grant.access < have.access {
                    *have = grant;
                }
            })
            .or_insert(grant);
    }
    let mut sorted: Vec<&Grant> = by_place.into_values().collect();
    sorted.sort_by(|a, b| depth(&a.to).cmp(&depth(&b.to)).then(a.to.cmp(&b.to)));

    let mut mounts: Vec<Mount> = Vec::new();
    let mut kept: Vec<&Grant> = Vec::new();
    for grant in sorted {
        let cover =
            kept.iter().filter(|k| within(&grant.to, &k.to)).max_by_key(|k| k.to.len()).copied();
        if let Some(cover) = cover {
            let same_place =
                grant.to.strip_prefix(&cover.to) == grant.from.strip_prefix(&cover.from);
            if same_place && cover.access == grant.access && cover.own == grant.own {
                continue;
            }
            if cover.access == Access::Rw && grant.access == Access::Ro {
                let mut between = Vec::new();
                let mut parent = parent_of(&grant.to);
                while parent != cover.to && within(parent, &cover.to) {
                    if mounts.iter().any(|m| m.to() == parent) {
                        break;
                    }
                    between.push(parent);
                    parent = parent_of(parent);
                }
                mounts.extend(between.into_iter().rev().map(|to| Mount::Pin { to: to.into() }));
            }
        }
        kept.push(grant);
        mounts.push(Mount::Bind {
            from: grant.from.clone(),
            to: grant.to.clone(),
            access: grant.access,
            exec: true,
            own: grant.own,
            optional: grant.optional,
        });
    }
    mounts
}

fn depth(path: &str) -> usize {
    path.bytes().filter(|b| *b == b'/').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(mounts: &[Mount]) -> Vec<String> {
        mounts
            .iter()
            .map(|m| match m {
                Mount::Bind { access: Access::Ro, to, .. } => format!("ro {to}"),
                Mount::Bind { to, .. } => format!("rw {to}"),
                other => format!("pin {}", other.to()),
            })
            .collect()
    }

    #[test]
    fn wide_grants_come_first_and_repeats_go() {
        let grants = [Grant::rw("/w/a/b"), Grant::rw("/w"), Grant::rw("/w"), Grant::rw("/w/a")];
        assert_eq!(places(&layout(&grants)), ["rw /w"]);
    }

    #[test]
    fn the_stricter_of_two_wins() {
        let grants = [Grant::rw("/w"), Grant::ro("/w")];
        assert_eq!(places(&layout(&grants)), ["ro /w"]);
    }

    #[test]
    fn what_lies_between_is_pinned() {
        let grants = [Grant::ro("/w/.agents/skills"), Grant::rw("/w"), Grant::ro("/w/SOUL.md")];
        assert_eq!(
            places(&layout(&grants)),
            ["rw /w", "ro /w/SOUL.md", "pin /w/.agents", "ro /w/.agents/skills"]
        );
    }

    #[test]
    fn a_sibling_with_the_same_beginning_is_not_below() {
        let grants = [Grant::rw("/work"), Grant::rw("/workspace")];
        assert_eq!(layout(&grants).len(), 2);
    }
}
