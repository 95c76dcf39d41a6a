//! Labels on what a session has seen: how far it may be believed, and how far it may travel.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How far content may be believed. Ordered from least to most trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// Written by somebody whom the operator does not vouch for: web, mail, unknown senders,
    /// skills, MCP servers, downloads.
    Outside,
    /// Files of the agent's own workspace.
    Workspace,
    /// A sender on the operator's list.
    Listed,
    /// The operator, or the agent's own instructions.
    Operator,
}

/// How far content may travel. Ordered from free to closely held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidentiality {
    /// Anyone may see it.
    Public,
    /// Inside the deployment.
    Internal,
    /// Personal or customer data: only listed sinks.
    Private,
    /// Credentials and the like: no outside sink, ever.
    Secret,
}

/// A point in both lattices, with the categories that explain it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// How far it may be believed.
    pub integrity: Integrity,
    /// How far it may travel.
    pub confidentiality: Confidentiality,
    /// Where it came from or what it is, for example `web`, `mail`, `skill:NAME`, `mcp:SERVER`,
    /// `credentials`, `financial`. Bounded by [`Label::MAX_CATEGORIES`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub categories: BTreeSet<String>,
}

impl Label {
    /// Category names come from tool and server names, which outsiders choose; a label that
    /// would grow beyond this keeps its place in the lattices and drops further names.
    pub const MAX_CATEGORIES: usize = 32;

    /// A label without categories.
    #[must_use]
    pub fn new(integrity: Integrity, confidentiality: Confidentiality) -> Self {
        Self { integrity, confidentiality, categories: BTreeSet::new() }
    }

    /// Adds a category.
    #[must_use]
    pub fn with(mut self, category: impl Into<String>) -> Self {
        if self.categories.len() < Self::MAX_CATEGORIES {
            self.categories.insert(category.into());
        }
        self
    }

    /// The label of something made from both: believed as little as the less believed, held as
    /// closely as the more closely held.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut categories = self.categories.clone();
        for category in &other.categories {
            if categories.len() >= Self::MAX_CATEGORIES {
                break;
            }
            categories.insert(category.clone());
        }
        Self {
            integrity: self.integrity.min(other.integrity),
            confidentiality: self.confidentiality.max(other.confidentiality),
            categories,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_is_as_wary_as_its_parts() {
        let page = Label::new(Integrity::Outside, Confidentiality::Public).with("web");
        let key = Label::new(Integrity::Operator, Confidentiality::Secret).with("credentials");
        let both = page.join(&key);
        assert_eq!(both.integrity, Integrity::Outside);
        assert_eq!(both.confidentiality, Confidentiality::Secret);
        assert_eq!(both.categories.len(), 2);
        assert_eq!(both, key.join(&page));
    }
}
