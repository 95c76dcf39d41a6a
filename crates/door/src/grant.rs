//! The operator's say: one method, for one token, until a time.

use crate::table::{Class, Table};
use serde::Serialize;

/// Longest time that a grant lasts: an override that nobody remembers is a hole.
pub const MAX_GRANT_MS: u64 = 8 * 60 * 60 * 1000;

/// Most grants at a time.
const MAX_GRANTS: usize = 64;

/// One allowance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// To find it in the log.
    pub id: String,
    /// The method, by its whole name.
    pub method: String,
    /// The token, by its name.
    pub token: String,
    /// Unix milliseconds at which it ends.
    pub until_ms: u64,
}

/// Why a grant is not given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// No such method.
    #[error("there is no method `{0}` in the door's table")]
    Unknown(String),
    /// It needs none, or none helps.
    #[error("`{method}` has class {class}: a grant is for methods of class host")]
    Class {
        /// The method.
        method: String,
        /// Its class.
        class: &'static str,
    },
    /// Too long or over already.
    #[error("a grant lasts at most 8 hours and ends in the future")]
    Time,
    /// Too many.
    #[error("there are {MAX_GRANTS} grants already")]
    Full,
}

/// All allowances that were given.
#[derive(Debug, Clone, Default)]
pub struct Grants(Vec<Grant>);

impl Grants {
    /// Gives one.
    ///
    /// # Errors
    /// See [`GrantError`].
    pub fn add(&mut self, grant: Grant, now_ms: u64, table: &Table) -> Result<(), GrantError> {
        let method =
            table.method(&grant.method).ok_or_else(|| GrantError::Unknown(grant.method.clone()))?;
        // A method of a lesser class can ask for more by its parameters, and then needs a grant.
        if method.class == Class::Never || (method.class < Class::Host && method.shape.is_none()) {
            return Err(GrantError::Class { method: grant.method, class: method.class.as_str() });
        }
        if grant.until_ms <= now_ms || grant.until_ms > now_ms.saturating_add(MAX_GRANT_MS) {
            return Err(GrantError::Time);
        }
        self.0.retain(|g| g.until_ms > now_ms);
        if self.0.len() >= MAX_GRANTS {
            return Err(GrantError::Full);
        }
        self.0.push(grant);
        Ok(())
    }

    /// Takes all grants of a method away; how many there were.
    pub fn remove(&mut self, method: &str) -> usize {
        let before = self.0.len();
        self.0.retain(|g| g.method != method);
        before - self.0.len()
    }

    /// Those that still hold.
    #[must_use]
    pub fn list(&self, now_ms: u64) -> Vec<Grant> {
        self.0.iter().filter(|g| g.until_ms > now_ms).cloned().collect()
    }

    /// One that covers this call.
    #[must_use]
    pub fn covering(&self, method: &str, token: &str, now_ms: u64) -> Option<&Grant> {
        self.0.iter().find(|g| g.method == method && g.token == token && g.until_ms > now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_narrow_and_short() {
        let table = Table::shipped().expect("shipped tables");
        let mut grants = Grants::default();
        let mut give = |method: &str, until_ms| {
            grants.add(
                Grant { id: "g".into(), method: method.into(), token: "t".into(), until_ms },
                10,
                &table,
            )
        };
        assert!(matches!(give("terminal.*", 20), Err(GrantError::Unknown(_))));
        assert!(matches!(give("secrets.resolve", 20), Err(GrantError::Class { .. })));
        assert!(matches!(give("health", 20), Err(GrantError::Class { .. })));
        assert!(matches!(give("config.patch", 10), Err(GrantError::Time)));
        assert!(matches!(give("config.patch", MAX_GRANT_MS + 11), Err(GrantError::Time)));
        assert_eq!(give("config.patch", 20), Ok(()));
        assert_eq!(give("cron.add", 20), Ok(()));
        assert_eq!(grants.list(15).len(), 2);
        assert_eq!(grants.list(20).len(), 0);
        assert_eq!(grants.remove("config.patch"), 1);
    }
}
