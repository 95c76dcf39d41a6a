//! The door's tokens on disk: hashed in one file, and the operator's own in clear in another.

use crate::clock::now_ms;
use crate::home::Home;
use seawall_door::DoorTokens;
use secrecy::{ExposeSecret, SecretString};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Reads the tokens.
pub(crate) fn load(home: &Home) -> Result<DoorTokens, String> {
    let path = home.tokens();
    match fs::read_to_string(&path) {
        Ok(text) => DoorTokens::parse(&text).map_err(|e| format!("`{}`: {e}", path.display())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(DoorTokens::new()),
        Err(e) => Err(format!("cannot read `{}`: {e}", path.display())),
    }
}

/// Writes the tokens: a new file that takes the old one's place.
pub(crate) fn save(home: &Home, tokens: &DoorTokens) -> Result<(), String> {
    let text = tokens.render().map_err(|e| e.to_string())?;
    write_private(&home.tokens(), text.as_bytes())
}

/// Writes a 0600 file in one step.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let next = path.with_extension("new");
    let write = || {
        let _ = fs::remove_file(&next);
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&next, path)
    };
    write().map_err(|e| format!("cannot write `{}`: {e}", path.display()))
}

/// Makes the operator's token when there is none yet.
pub(crate) fn ensure(home: &Home) -> Result<(), String> {
    let mut tokens = load(home)?;
    if !tokens.is_empty() && home.operator_token().exists() {
        return Ok(());
    }
    if tokens.list().iter().any(|token| token.name == OPERATOR) {
        // Its clear text is gone: it can be replaced only.
        tokens.revoke(OPERATOR).map_err(|e| e.to_string())?;
    }
    let mut entropy = Zeroizing::new([0u8; 32]);
    getrandom::fill(entropy.as_mut_slice())
        .map_err(|e| format!("no randomness for a token: {e}"))?;
    let clear = tokens
        .create(OPERATOR, seawall_door::Role::Operator, None, None, now_ms(), &entropy)
        .map_err(|e| e.to_string())?;
    save(home, &tokens)?;
    keep_operator(home, &clear)
}

/// Writes the operator's token in clear, for the user's own clients.
pub(crate) fn keep_operator(home: &Home, clear: &SecretString) -> Result<(), String> {
    let line = Zeroizing::new(format!("{}\n", clear.expose_secret()));
    write_private(&home.operator_token(), line.as_bytes())
}

/// Name of the token that is made on the first start.
pub(crate) const OPERATOR: &str = "operator";
