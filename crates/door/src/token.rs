//! The door's tokens: who may come in, and as what.
//!
//! A token is shown once, when it is made. What is kept is its SHA-256: the secret has 256 random
//! bits, so a slow hash would protect nothing and would make a wrong token expensive for us.

use crate::table::Class;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

/// What every token begins with, so that secret scanners and people recognise one.
pub const TOKEN_PREFIX: &str = "seawall_";

/// More tokens than this in one file is a mistake: each is compared on every login.
pub const MAX_TOKENS: usize = 256;

/// Longest name of a token.
const MAX_NAME: usize = 64;

/// What the holder of a token is to this deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sees, changes nothing.
    Viewer,
    /// Talks to the agent.
    Chat,
    /// Runs the deployment: answers approvals, manages automations and devices.
    Operator,
}

impl Role {
    /// The name used in files and output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Chat => "chat",
            Role::Operator => "operator",
        }
    }

    /// The most consequential class of method that this role may call without a grant.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Role::Viewer => Class::Read,
            Role::Chat => Class::Chat,
            Role::Operator => Class::Operator,
        }
    }

    /// The gateway's scopes that go with the role.
    #[must_use]
    pub fn scopes(self) -> &'static [&'static str] {
        match self {
            Role::Viewer => &["operator.read"],
            Role::Chat => {
                &["operator.read", "operator.write", "operator.questions", "operator.talk"]
            }
            Role::Operator => &ALL_SCOPES,
        }
    }
}

/// Every scope that the gateway knows and that the door hands on. `operator.talk.secrets` is
/// absent: it only serves to read secrets in clear.
pub const ALL_SCOPES: [&str; 7] = [
    "operator.read",
    "operator.write",
    "operator.questions",
    "operator.talk",
    "operator.approvals",
    "operator.pairing",
    "operator.admin",
];

/// One token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// What the operator calls it; unique.
    name: String,
    role: Role,
    /// The gateway's scopes, when they are fewer than the role's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    /// SHA-256 of the whole token, in hex.
    sha256: String,
    created_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_ms: Option<u64>,
}

/// A token as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenInfo {
    /// What the operator calls it.
    pub name: String,
    /// What its holder is.
    pub role: Role,
    /// The gateway's scopes that it carries.
    pub scopes: Vec<String>,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
    /// When it stops working, Unix milliseconds.
    pub expires_ms: Option<u64>,
    /// First 8 hex digits of its hash, to tell two tokens apart.
    pub fingerprint: String,
}

/// Who a connection or request turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's name.
    pub name: String,
    /// What its holder is.
    pub role: Role,
    /// The gateway's scopes that it carries, at most the role's.
    pub scopes: Vec<String>,
    /// When it stops working, Unix milliseconds.
    pub expires_ms: Option<u64>,
    fingerprint: [u8; 32],
}

/// All tokens of a door.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoorTokens {
    /// Format of the file.
    #[serde(default = "version")]
    version: u32,
    #[serde(default, rename = "token", skip_serializing_if = "Vec::is_empty")]
    records: Vec<Record>,
}

fn version() -> u32 {
    1
}

/// Why tokens could not be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The file is not what was written.
    #[error("the token file does not parse: {0}")]
    Parse(String),
    /// The file comes from another version.
    #[error("the token file has version {0}; this version reads 1")]
    Version(u32),
    /// A name that could be mistaken for something else.
    #[error("`{0}` can't be a token's name: use 1 to 64 letters, digits, `-`, `_` or `.`")]
    Name(String),
    /// A name twice.
    #[error("there is a token `{0}` already: revoke or rotate it, or choose another name")]
    Exists(String),
    /// No such name.
    #[error("there is no token `{0}`: `seawall token list` shows them")]
    Unknown(String),
    /// A scope that the role does not have.
    #[error("role `{role}` does not have the scope `{scope}`; it has {have}")]
    Scope {
        /// The role.
        role: &'static str,
        /// What was asked.
        scope: String,
        /// What there is.
        have: String,
    },
    /// An end that lies in the past.
    #[error("the token would have expired already")]
    Expired,
    /// Too many.
    #[error("there are {MAX_TOKENS} tokens already: revoke one first")]
    Full,
    /// A hash that is none.
    #[error("the hash of token `{0}` is not 64 hex digits")]
    Hash(String),
}

impl DoorTokens {
    /// An empty set: nobody may come in.
    #[must_use]
    pub fn new() -> Self {
        Self { version: 1, records: Vec::new() }
    }

    /// Reads the file's text. Anything unknown in it is an error.
    ///
    /// # Errors
    /// See [`TokenError`]. The text itself is never quoted.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let read: Self =
            toml::from_str(text).map_err(|e| TokenError::Parse(e.message().to_owned()))?;
        if read.version != 1 {
            return Err(TokenError::Version(read.version));
        }
        let mut checked = Self::new();
        for record in read.records {
            valid_name(&record.name)?;
            valid_scopes(record.role, record.scopes.as_deref())?;
            if decode_hash(&record.sha256).is_none() {
                return Err(TokenError::Hash(record.name));
            }
            checked.push(record)?;
        }
        Ok(checked)
    }

    /// The file's text.
    ///
    /// # Errors
    /// Never for a set made by this type; the error is the serialiser's.
    pub fn render(&self) -> Result<String, TokenError> {
        toml::to_string(self).map_err(|e| TokenError::Parse(e.to_string()))
    }

    /// Makes a token. `entropy` has to come from the system's random source.
    ///
    /// # Errors
    /// A name that is taken or malformed, a scope that the role lacks, an end in the past.
    pub fn create(
        &mut self,
        name: &str,
        role: Role,
        scopes: Option<Vec<String>>,
        expires_ms: Option<u64>,
        now_ms: u64,
        entropy: &[u8; 32],
    ) -> Result<SecretString, TokenError> {
        valid_name(name)?;
        valid_scopes(role, scopes.as_deref())?;
        if expires_ms.is_some_and(|end| end <= now_ms) {
            return Err(TokenError::Expired);
        }
        let (secret, sha256) = mint(entropy);
        self.push(Record {
            name: name.to_owned(),
            role,
            scopes,
            sha256,
            created_ms: now_ms,
            expires_ms,
        })?;
        Ok(secret)
    }

    /// Replaces the secret of a token; the old one stops working.
    ///
    /// # Errors
    /// No such token.
    pub fn rotate(
        &mut self,
        name: &str,
        now_ms: u64,
        entropy: &[u8; 32],
    ) -> Result<SecretString, TokenError> {
        let record = self
            .records
            .iter_mut()
            .find(|r| r.name == name)
            .ok_or_else(|| TokenError::Unknown(name.to_owned()))?;
        let (secret, sha256) = mint(entropy);
        record.sha256 = sha256;
        record.created_ms = now_ms;
        Ok(secret)
    }

    /// Takes a token away.
    ///
    /// # Errors
    /// No such token.
    pub fn revoke(&mut self, name: &str) -> Result<(), TokenError> {
        let before = self.records.len();
        self.records.retain(|r| r.name != name);
        if self.records.len() == before {
            return Err(TokenError::Unknown(name.to_owned()));
        }
        Ok(())
    }

    /// What there is, in the order of making.
    #[must_use]
    pub fn list(&self) -> Vec<TokenInfo> {
        self.records
            .iter()
            .map(|r| TokenInfo {
                name: r.name.clone(),
                role: r.role,
                scopes: r.effective_scopes(),
                created_ms: r.created_ms,
                expires_ms: r.expires_ms,
                fingerprint: r.sha256.chars().take(8).collect(),
            })
            .collect()
    }

    /// Whether there is no token at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Who shows this token. All records are compared, each in constant time, so that the time
    /// taken tells nothing about which one was close.
    #[must_use]
    pub fn authenticate(&self, shown: &str, now_ms: u64) -> Option<Principal> {
        let shown: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
        let mut found: Option<&Record> = None;
        for record in &self.records {
            let kept = decode_hash(&record.sha256).unwrap_or([0; 32]);
            let same: Choice = kept.ct_eq(&shown);
            if bool::from(same) {
                found = Some(record);
            }
        }
        let record = found?;
        if record.expires_ms.is_some_and(|end| end <= now_ms) {
            return None;
        }
        Some(Principal {
            name: record.name.clone(),
            role: record.role,
            scopes: record.effective_scopes(),
            expires_ms: record.expires_ms,
            fingerprint: shown,
        })
    }

    /// Whether somebody who came in earlier would still come in, as the same.
    #[must_use]
    pub fn still_valid(&self, who: &Principal, now_ms: u64) -> bool {
        self.records.iter().any(|r| {
            r.name == who.name
                && r.role == who.role
                && r.effective_scopes() == who.scopes
                && decode_hash(&r.sha256) == Some(who.fingerprint)
                && r.expires_ms.is_none_or(|end| end > now_ms)
        })
    }

    fn push(&mut self, record: Record) -> Result<(), TokenError> {
        if self.records.len() >= MAX_TOKENS {
            return Err(TokenError::Full);
        }
        if self.records.iter().any(|r| r.name == record.name) {
            return Err(TokenError::Exists(record.name));
        }
        self.records.push(record);
        Ok(())
    }
}

impl Record {
    fn effective_scopes(&self) -> Vec<String> {
        match &self.scopes {
            Some(scopes) => scopes.clone(),
            None => self.role.scopes().iter().map(|s| (*s).to_owned()).collect(),
        }
    }
}

fn mint(entropy: &[u8; 32]) -> (SecretString, String) {
    let mut token = Zeroizing::new(String::with_capacity(64));
    token.push_str(TOKEN_PREFIX);
    URL_SAFE_NO_PAD.encode_string(entropy, &mut token);
    let sha256 = hex::encode(Sha256::digest(token.as_bytes()));
    (SecretString::from(token.as_str()), sha256)
}

fn decode_hash(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    hex::decode_to_slice(text, &mut out).ok()?;
    Some(out)
}

fn valid_name(name: &str) -> Result<(), TokenError> {
    let good = !name.is_empty()
        && name.len() <= MAX_NAME
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if good { Ok(()) } else { Err(TokenError::Name(name.escape_default().to_string())) }
}

fn valid_scopes(role: Role, scopes: Option<&[String]>) -> Result<(), TokenError> {
    for scope in scopes.unwrap_or_default() {
        if !role.scopes().contains(&scope.as_str()) {
            return Err(TokenError::Scope {
                role: role.as_str(),
                scope: scope.escape_default().to_string(),
                have: role.scopes().join(", "),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn made() -> (DoorTokens, SecretString) {
        let mut tokens = DoorTokens::new();
        let secret =
            tokens.create("laptop", Role::Operator, None, None, 1_000, &[7; 32]).expect("valid");
        (tokens, secret)
    }

    #[test]
    fn a_token_survives_the_file_and_is_not_in_it() {
        let (tokens, secret) = made();
        let text = tokens.render().expect("renders");
        assert!(!text.contains(secret.expose_secret()));
        let back = DoorTokens::parse(&text).expect("parses");
        assert_eq!(back, tokens);
        let who = back.authenticate(secret.expose_secret(), 2_000).expect("known");
        assert_eq!((who.name.as_str(), who.role), ("laptop", Role::Operator));
        assert!(back.still_valid(&who, 2_000));
    }

    #[test]
    fn near_misses_are_nobody() {
        let (tokens, secret) = made();
        let secret = secret.expose_secret();
        for wrong in ["", "seawall_", &secret[1..], &format!("{secret} "), &secret.to_uppercase()] {
            assert_eq!(tokens.authenticate(wrong, 2_000), None, "{wrong}");
        }
    }

    #[test]
    fn rotating_revoking_and_expiry_end_what_came_in() {
        let (mut tokens, secret) = made();
        let who = tokens.authenticate(secret.expose_secret(), 0).expect("known");
        let newer = tokens.rotate("laptop", 5, &[8; 32]).expect("known name");
        assert!(!tokens.still_valid(&who, 6));
        assert_eq!(tokens.authenticate(secret.expose_secret(), 6), None);
        let who = tokens.authenticate(newer.expose_secret(), 6).expect("known");
        tokens.revoke("laptop").expect("known name");
        assert!(!tokens.still_valid(&who, 7));
        let brief =
            tokens.create("guest", Role::Viewer, None, Some(100), 10, &[9; 32]).expect("valid");
        let who = tokens.authenticate(brief.expose_secret(), 99).expect("not yet over");
        assert_eq!(tokens.authenticate(brief.expose_secret(), 100), None);
        assert!(!tokens.still_valid(&who, 100));
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused() {
        let (tokens, _) = made();
        let good = tokens.render().expect("renders");
        for (bad, says) in [
            (good.replace("operator\"", "root\""), "does not parse"),
            (format!("{good}extra = 1\n"), "does not parse"),
            (good.replace("version = 1", "version = 2"), "version 2"),
            (format!("{good}{}", good.replace("version = 1\n", "")), "already"),
            (good.replace("laptop", "lap top"), "can't be a token's name"),
            (good.replace("sha256 = \"", "sha256 = \"z"), "64 hex digits"),
        ] {
            let error = DoorTokens::parse(&bad).expect_err(&bad).to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn scopes_never_exceed_the_role() {
        let mut tokens = DoorTokens::new();
        let error = tokens
            .create("x", Role::Chat, Some(vec!["operator.admin".into()]), None, 0, &[1; 32])
            .expect_err("more than the role");
        assert!(error.to_string().contains("does not have the scope"), "{error}");
    }
}
