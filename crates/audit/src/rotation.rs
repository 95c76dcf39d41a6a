//! How old credentials may get, and which of them are due.

use crate::facts::{Credential, CredentialKind};

const DAY: i64 = 86_400;

impl CredentialKind {
    /// Days after which it is due. API keys: monthly at least. SSH keys: once a year. The gateway's
    /// own token is due after a change of what it opens; without one, every quarter.
    #[must_use]
    pub const fn days(self) -> i64 {
        match self {
            Self::Api => 30,
            Self::Gateway => 90,
            Self::Ssh => 365,
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "API key",
            Self::Gateway => "gateway token",
            Self::Ssh => "SSH key",
        }
    }
}

/// Why a credential is due now; `None` while it is not.
#[must_use]
pub fn due(credential: &Credential, now: i64) -> Option<String> {
    if credential.changed {
        return Some(
            "the gateway's address, authentication or release changed since it was made".into(),
        );
    }
    let age = now.saturating_sub(credential.since) / DAY;
    let limit = credential.kind.days();
    (age >= limit)
        .then(|| format!("{age} days old or more; {} is due every {limit}", credential.kind.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(kind: CredentialKind, days: i64) -> Credential {
        Credential { name: "x".into(), kind, since: 1_000_000_000 - days * DAY, changed: false }
    }

    #[test]
    fn each_kind_has_its_own_age() {
        let now = 1_000_000_000;
        for kind in [CredentialKind::Api, CredentialKind::Gateway, CredentialKind::Ssh] {
            assert_eq!(due(&credential(kind, kind.days() - 1), now), None);
            assert!(due(&credential(kind, kind.days()), now).unwrap().contains(kind.name()));
        }
        let changed = Credential { changed: true, ..credential(CredentialKind::Gateway, 0) };
        assert!(due(&changed, now).unwrap().contains("changed since"));
    }
}
