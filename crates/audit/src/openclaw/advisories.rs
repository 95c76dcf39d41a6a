//! Published flaws of OpenClaw.

use seawall_model::finding::Level;
use serde::Deserialize;
use std::sync::LazyLock;

/// The file.
#[derive(Debug, Deserialize)]
pub(crate) struct Advisories {
    /// When it was last looked after.
    pub(crate) updated: String,
    /// Days after which it counts as old.
    pub(crate) stale_days: i64,
    advisory: Vec<Advisory>,
}

/// One flaw.
#[derive(Debug, Deserialize)]
pub(crate) struct Advisory {
    pub(crate) id: String,
    pub(crate) fixed: String,
    severity: Level,
    pub(crate) title: String,
    pub(crate) url: String,
}

#[expect(clippy::expect_used, reason = "a file of this repository, and a test reads it")]
pub(crate) static ADVISORIES: LazyLock<Advisories> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../../content/audit/advisories.toml"))
        .expect("advisories.toml")
});

/// Days since a date.
pub(crate) fn days_since(date: &str, now: i64) -> Option<i64> {
    let then = date.parse::<jiff::civil::Date>().ok()?;
    let zone = jiff::tz::TimeZone::UTC;
    Some((now - then.to_zoned(zone).ok()?.timestamp().as_second()) / 86_400)
}

impl Advisory {
    /// How bad.
    pub(crate) fn level(&self) -> Level {
        self.severity
    }
}

impl Advisories {
    /// The flaws of a release.
    pub(crate) fn affecting(&self, version: &str) -> impl Iterator<Item = &Advisory> {
        let version = parts(version);
        self.advisory.iter().filter(move |advisory| version < parts(&advisory.fixed))
    }

    /// The first release with all repairs.
    pub(crate) fn newest(&self) -> &str {
        self.advisory
            .iter()
            .map(|advisory| advisory.fixed.as_str())
            .max_by_key(|version| parts(version))
            .unwrap_or("latest")
    }

    /// Days since the file was looked after.
    pub(crate) fn age(&self, now: i64) -> Option<i64> {
        days_since(&self.updated, now)
    }
}

/// `2026.2.14` as numbers; a suffix (`-1`, `-beta`) does not count.
fn parts(version: &str) -> Vec<u32> {
    version
        .split('-')
        .next()
        .unwrap_or_default()
        .split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_as_numbers() {
        assert!(parts("2026.2.9") < parts("2026.2.14"));
        assert_eq!(ADVISORIES.affecting("2026.9.6").count(), 0);
        assert!(ADVISORIES.affecting("2026.3.11").any(|flaw| flaw.id == "GHSA-rqpp-rjj8-7wv8"));
        assert!(ADVISORIES.updated.parse::<jiff::civil::Date>().is_ok());
    }
}
