//! The catalogue of tools: OpenClaw's own, built in, one file per family under
//! `content/policy/tools/`; and what an operator declares in the same form.

pub mod spec;

pub use spec::{Known, Role, ToolSpec, Verb, Yields};

use rustc_hash::FxHashMap;
use serde::Deserialize;
use std::sync::{Arc, LazyLock};

/// The built-in families, as files. Adding a tool means adding it to one of them.
const FAMILIES: &[(&str, &str)] = &[
    ("files", include_str!("../../../../content/policy/tools/files.toml")),
    ("runtime", include_str!("../../../../content/policy/tools/runtime.toml")),
    ("web", include_str!("../../../../content/policy/tools/web.toml")),
    ("browser", include_str!("../../../../content/policy/tools/browser.toml")),
    ("message", include_str!("../../../../content/policy/tools/message.toml")),
    ("memory", include_str!("../../../../content/policy/tools/memory.toml")),
    ("sessions", include_str!("../../../../content/policy/tools/sessions.toml")),
    ("automations", include_str!("../../../../content/policy/tools/automations.toml")),
    ("gateway", include_str!("../../../../content/policy/tools/gateway.toml")),
    ("devices", include_str!("../../../../content/policy/tools/devices.toml")),
    ("media", include_str!("../../../../content/policy/tools/media.toml")),
    ("interface", include_str!("../../../../content/policy/tools/interface.toml")),
    ("skills", include_str!("../../../../content/policy/tools/skills.toml")),
    ("workboard", include_str!("../../../../content/policy/tools/workboard.toml")),
    ("search", include_str!("../../../../content/policy/tools/search.toml")),
];

/// A file of tool declarations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    #[serde(default)]
    tool: Vec<ToolSpec>,
}

/// Tools by name.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    tools: FxHashMap<String, Arc<ToolSpec>>,
}

impl Catalogue {
    /// OpenClaw's own tools.
    #[must_use]
    pub fn builtin() -> Self {
        static BUILTIN: LazyLock<Catalogue> = LazyLock::new(|| {
            let mut catalogue = Catalogue::default();
            for (_, text) in FAMILIES {
                // A test loads every family; a family that did not parse would leave its tools
                // unknown, which is denied.
                if let Ok(specs) = parse(text, Known::Catalogue) {
                    catalogue.extend(specs);
                }
            }
            catalogue
        });
        BUILTIN.clone()
    }

    /// Adds or replaces tools.
    pub fn extend(&mut self, specs: Vec<ToolSpec>) {
        for spec in specs {
            self.tools.insert(spec.name.clone(), Arc::new(spec));
        }
    }

    /// Looks a tool up by its canonical name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<ToolSpec>> {
        self.tools.get(name)
    }

    /// Names, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.tools.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}

/// Parses declarations (`[[tool]] …`).
///
/// # Errors
/// What the TOML parser says, with line and column.
pub fn parse(text: &str, known: Known) -> Result<Vec<ToolSpec>, toml::de::Error> {
    let family: Family = toml::from_str(text)?;
    Ok(family.tool.into_iter().map(|spec| ToolSpec { known, ..spec }).collect())
}

/// The role of a dotted parameter path: its own, or that of the nearest node above it.
#[must_use]
pub fn role_of(spec: &ToolSpec, path: &str) -> Option<Role> {
    let mut path = path;
    loop {
        if let Some(role) = spec.params.get(path) {
            return Some(*role);
        }
        path = path.rsplit_once('.')?.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_parses_and_no_tool_is_in_two() {
        let mut seen = std::collections::BTreeMap::new();
        for (family, text) in FAMILIES {
            let specs = parse(text, Known::Catalogue).unwrap_or_else(|e| panic!("{family}: {e}"));
            assert!(!specs.is_empty(), "{family}");
            for spec in specs {
                assert!(!spec.does.is_empty() || !spec.ops.is_empty(), "{} has no verb", spec.name);
                if let Some(other) = seen.insert(spec.name.clone(), *family) {
                    panic!("{} is in {other} and {family}", spec.name);
                }
            }
        }
    }

    /// The listing holds every tool and parameter that OpenClaw 2026.9.6 offers to a model with
    /// `tools.profile: full` and the bundled plugins that have tools.
    #[test]
    fn the_catalogue_knows_every_tool_and_parameter_that_the_gateway_offers() {
        let text = include_str!("../../testdata/openclaw-tools.json");
        let offered: std::collections::BTreeMap<String, Vec<String>> =
            serde_json::from_str(text).unwrap();
        let catalogue = Catalogue::builtin();
        let mut missing = Vec::new();
        for (tool, params) in &offered {
            let Some(spec) = catalogue.get(tool) else {
                missing.push(tool.clone());
                continue;
            };
            for param in params {
                if role_of(spec, param).is_none() {
                    missing.push(format!("{tool}.{param}"));
                }
            }
        }
        assert!(missing.is_empty(), "not in the catalogue: {missing:?}");
        assert!(offered.len() > 90);
    }
}
