//! Since when credentials are what they are. The ledger holds no credential and nothing by which one
//! could be guessed: for each place a keyed hash, of which the key is in the same private file, and
//! the day on which this value was first seen there. A new value starts anew by itself.

use crate::deploy::{Deployment, load, read_text};
use crate::home::Home;
use seawall_audit::facts::{Credential, CredentialKind, Fact, names_a_secret};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// More places than a deployment keeps credentials in.
const MAX: usize = 2000;
/// A ledger of so many places is smaller.
const MAX_BYTES: u64 = 1 << 20;
/// Agents whose own credentials are looked at.
const MAX_AGENTS: usize = 500;

#[derive(Serialize, Deserialize)]
struct Ledger {
    /// Key of the hashes, in hex.
    key: String,
    /// By place.
    seen: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize, Clone)]
struct Entry {
    mark: String,
    since: i64,
    /// What the gateway's credentials opened then.
    #[serde(default)]
    opens: String,
}

struct Found {
    name: String,
    kind: CredentialKind,
    value: String,
    /// When the file that holds it was changed last: it is as it is at least since then.
    changed: i64,
}

fn path(home: &Home) -> PathBuf {
    home.dir().join("rotation.json")
}

/// What the ledger says of the credentials that are there now; reads only.
pub(crate) fn known(deployment: &Deployment) -> Fact<Option<Vec<Credential>>> {
    let command = "seawall harden rotation";
    let home = match Home::locate(&deployment.name) {
        Ok(home) => home,
        Err(why) => return Fact::unknown(why, command),
    };
    match read(&path(&home)) {
        Ok(None) => Fact::Known(None),
        Ok(Some(mut ledger)) => {
            let now = jiff::Timestamp::now().as_second();
            Fact::Known(Some(ledger.bring_up(deployment, now)))
        }
        Err(why) => Fact::unknown(why, command),
    }
}

/// Brings the ledger up to date.
pub(crate) fn update(
    deployment: &Deployment,
    home: &Home,
    now: i64,
) -> Result<Vec<Credential>, String> {
    home.create()?;
    let path = path(home);
    let mut ledger = match read(&path)? {
        Some(ledger) => ledger,
        None => Ledger::new()?,
    };
    let credentials = ledger.bring_up(deployment, now);
    let say = |e: std::io::Error| format!("cannot write `{}`: {e}", path.display());
    let text = serde_json::to_string(&ledger).map_err(|e| e.to_string())?;
    let temp = path.with_extension("new");
    let _ = fs::remove_file(&temp);
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temp).map_err(say)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(say)?;
    fs::rename(&temp, &path).map_err(say)?;
    Ok(credentials)
}

fn read(path: &Path) -> Result<Option<Ledger>, String> {
    match fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("`{}`: {e}", path.display())),
        Ok(meta) if meta.len() > MAX_BYTES => {
            return Err(format!("`{}` is too large", path.display()));
        }
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(|e| format!("`{}`: {e}", path.display()))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| format!("`{}` is damaged ({e}); without it, ages start anew", path.display()))
}

impl Ledger {
    fn new() -> Result<Self, String> {
        let mut key = [0u8; 32];
        getrandom::fill(&mut key).map_err(|e| e.to_string())?;
        Ok(Self { key: hex::encode(key), seen: BTreeMap::new() })
    }

    fn mark(&self, value: &str) -> String {
        let mut key = [0u8; 32];
        let _ = hex::decode_to_slice(&self.key, &mut key);
        let hash = blake3::keyed_hash(&key, value.as_bytes()).to_hex();
        hash.chars().take(32).collect()
    }

    /// Takes in what is there now; places that are gone are forgotten.
    fn bring_up(&mut self, deployment: &Deployment, now: i64) -> Vec<Credential> {
        let config = load(&deployment.config_path, &deployment.include_roots)
            .map(|loaded| loaded.value)
            .unwrap_or_default();
        let opens = self.mark(&opens(&config));
        let mut seen = BTreeMap::new();
        let mut credentials = Vec::new();
        for found in found(deployment, &config).into_iter().take(MAX) {
            let mark = self.mark(&found.value);
            let entry = match self.seen.get(&found.name) {
                Some(old) if old.mark == mark => old.clone(),
                // A value that replaces another one is new; one that is seen for the first time is
                // as old as its file at least.
                Some(_) => Entry { mark, since: now, opens: opens.clone() },
                None => Entry { mark, since: found.changed.min(now), opens: opens.clone() },
            };
            credentials.push(Credential {
                name: found.name.clone(),
                kind: found.kind,
                since: entry.since,
                changed: found.kind == CredentialKind::Gateway && entry.opens != opens,
            });
            seen.insert(found.name, entry);
        }
        self.seen = seen;
        credentials
    }
}

/// What a token of the gateway opens: where it listens, for whom, and in which release.
fn opens(config: &Value) -> String {
    let keys = [
        "/gateway/bind",
        "/gateway/customBindHost",
        "/gateway/port",
        "/gateway/auth/mode",
        "/gateway/tailscale/mode",
        "/gateway/trustedProxies",
    ];
    let mut text: String = keys
        .iter()
        .map(|key| config.pointer(key).map(Value::to_string).unwrap_or_default() + "\n")
        .collect();
    text.push_str(
        &config.pointer("/meta/lastTouchedVersion").map(Value::to_string).unwrap_or_default(),
    );
    text
}

fn found(deployment: &Deployment, config: &Value) -> Vec<Found> {
    let mut out = Vec::new();
    let changed = |path: &Path| fs::metadata(path).map(|meta| meta.mtime()).unwrap_or_default();
    let gateway =
        |name: &str| name.starts_with("gateway.auth.") || name.starts_with("OPENCLAW_GATEWAY_");
    let kind =
        |name: &str| if gateway(name) { CredentialKind::Gateway } else { CredentialKind::Api };
    for path in seawall_audit::credentials(config) {
        let value = path.iter().try_fold(config, |at, name| match at {
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            other => other.get(name),
        });
        if let Some(value) = value.and_then(Value::as_str) {
            let name = path.join(".");
            let kind = kind(&name);
            let changed = changed(&deployment.config_path);
            out.push(Found { name, kind, value: value.to_owned(), changed });
        }
    }
    let file = deployment.state_dir.join(".env");
    for (name, value) in crate::collect::openclaw::dot_env(&file) {
        if names_a_secret(&name) && !value.is_empty() {
            out.push(Found { kind: kind(&name), name, value, changed: changed(&file) });
        }
    }
    let agents = fs::read_dir(deployment.state_dir.join("agents")).into_iter().flatten().flatten();
    for agent in agents.take(MAX_AGENTS) {
        let file = agent.path().join("agent/auth-profiles.json");
        let Ok(text) = read_text(&file) else { continue };
        let profiles: Value = serde_json::from_str(&text).unwrap_or_default();
        let agent = agent.file_name().to_string_lossy().into_owned();
        for (id, profile) in
            profiles.get("profiles").and_then(Value::as_object).into_iter().flatten()
        {
            // What OAuth renews by itself is nobody's to rotate.
            if let Some(value) =
                ["key", "token", "apiKey"].iter().find_map(|key| profile.get(key)?.as_str())
            {
                let name = format!("agents/{agent}: {id}");
                let changed = changed(&file);
                out.push(Found {
                    name,
                    kind: CredentialKind::Api,
                    value: value.to_owned(),
                    changed,
                });
            }
        }
    }
    let file = deployment.home.join(".ssh/authorized_keys");
    for line in read_text(&file).unwrap_or_default().lines().map(str::trim) {
        let Some(at) = ["ssh-", "ecdsa-", "sk-"].iter().filter_map(|kind| line.find(kind)).min()
        else {
            continue;
        };
        if line.starts_with('#') {
            continue;
        }
        let mut words = line.get(at..).unwrap_or_default().split_whitespace().skip(1);
        let key = words.next().unwrap_or_default().to_owned();
        let comment: String = words.collect::<Vec<_>>().join(" ").chars().take(60).collect();
        let tail = key.get(key.len().saturating_sub(12)..).unwrap_or_default();
        let name = format!("~/.ssh/authorized_keys: {comment} (...{tail})");
        out.push(Found { name, kind: CredentialKind::Ssh, value: key, changed: changed(&file) });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn lab() -> (tempfile::TempDir, Deployment, Home) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let state = root.join(".openclaw");
        fs::create_dir_all(root.join(".ssh")).unwrap();
        fs::create_dir_all(&state).unwrap();
        fs::write(
            state.join("openclaw.json"),
            "{ gateway: { bind: 'loopback', auth: { token: 'tok-one' } } }",
        )
        .unwrap();
        fs::write(state.join(".env"), "ANTHROPIC_API_KEY=sk-one\nPLAIN=x\n").unwrap();
        fs::write(
            root.join(".ssh/authorized_keys"),
            "# c\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA ada@laptop\n",
        )
        .unwrap();
        let deployment = Deployment {
            name: "default".into(),
            config_path: state.join("openclaw.json"),
            include_roots: vec![state.clone()],
            state_dir: state,
            home: root.clone(),
            links: Vec::new(),
        };
        (dir, deployment, Home::at(root.join("seawall")))
    }

    #[test]
    fn a_new_value_starts_anew_and_an_old_one_gets_older() {
        let (_dir, deployment, home) = lab();
        let now = jiff::Timestamp::now().as_second();
        let names = |all: &[Credential]| all.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
        let first = update(&deployment, &home, now).unwrap();
        let names = names(&first);
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names.contains(&"ANTHROPIC_API_KEY".into()) && names[2].contains("ada@laptop"));
        // Nobody can read a credential out of it, or try guesses without being its owner.
        let ledger = path(&home);
        let text = fs::read_to_string(&ledger).unwrap();
        assert!(!text.contains("sk-one") && !text.contains("tok-one"), "{text}");
        assert_eq!(fs::metadata(&ledger).unwrap().mode() & 0o777, 0o600);

        let later = now + 40 * DAY;
        let due = |all: &[Credential]| {
            all.iter()
                .filter(|c| seawall_audit::rotation::due(c, later).is_some())
                .map(|c| c.name.clone())
                .collect::<Vec<_>>()
        };
        let second = update(&deployment, &home, later).unwrap();
        assert_eq!(due(&second), ["ANTHROPIC_API_KEY"]);
        fs::write(deployment.state_dir.join(".env"), "ANTHROPIC_API_KEY=sk-two\n").unwrap();
        assert_eq!(due(&update(&deployment, &home, later).unwrap()), Vec::<String>::new());
        // The gateway opens more than before: its token is due, whatever its age.
        fs::write(
            &deployment.config_path,
            "{ gateway: { bind: 'lan', auth: { token: 'tok-one' } } }",
        )
        .unwrap();
        assert_eq!(due(&update(&deployment, &home, later).unwrap()), ["gateway.auth.token"]);
        fs::write(
            &deployment.config_path,
            "{ gateway: { bind: 'lan', auth: { token: 'tok-two' } } }",
        )
        .unwrap();
        assert_eq!(due(&update(&deployment, &home, later).unwrap()), Vec::<String>::new());
    }

    #[test]
    fn a_damaged_ledger_is_said() {
        let (_dir, deployment, home) = lab();
        home.create().unwrap();
        fs::write(path(&home), "{").unwrap();
        assert!(update(&deployment, &home, 0).unwrap_err().contains("is damaged"));
    }
}
