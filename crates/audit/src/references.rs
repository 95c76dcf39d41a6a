//! Names of the MITRE and CIS references that checks carry.

use serde::Deserialize;
use std::sync::LazyLock;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct References {
    atlas: List,
    attack: List,
    cis: List,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[cfg_attr(not(test), expect(dead_code, reason = "for people who look after the list"))]
    source: String,
    names: Vec<(String, String)>,
}

#[expect(clippy::expect_used, reason = "a file of this repository, and a test reads it")]
static REFERENCES: LazyLock<References> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../content/audit/references.toml")).expect("references.toml")
});

/// What its publisher calls a MITRE ATLAS, MITRE ATT&CK or CIS id.
#[must_use]
pub fn reference(id: &str) -> Option<&'static str> {
    let all = &*REFERENCES;
    [&all.atlas, &all.attack, &all.cis]
        .iter()
        .flat_map(|list| &list.names)
        .find_map(|(known, name)| (known == id).then_some(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks;
    use std::collections::BTreeSet;

    #[test]
    fn checks_name_what_was_looked_up_and_nothing_else_is_kept() {
        let all = &*REFERENCES;
        type Ids = fn(&crate::Check) -> &'static [&'static str];
        let kinds: [(&List, Ids); 3] =
            [(&all.atlas, |c| c.atlas), (&all.attack, |c| c.attack), (&all.cis, |c| c.cis)];
        for (list, ids) in kinds {
            assert!(!list.source.is_empty());
            let known: BTreeSet<&str> = list.names.iter().map(|(id, _)| id.as_str()).collect();
            assert_eq!(known.len(), list.names.len(), "an id stands there twice");
            let used: BTreeSet<&str> =
                checks().iter().flat_map(|check| ids(check)).copied().collect();
            assert_eq!(used, known);
        }
    }
}
