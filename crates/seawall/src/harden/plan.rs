//! From wishes (profile, findings, translations) to the steps of a run.

use super::files::{self, State};
use super::journal::{Run, Step};
use super::modes;
use super::secret;
use super::target::Target;
use crate::clock::now_ms;
use seawall_audit::harden::doc::Documents;
use seawall_audit::harden::profile::Profile;
use seawall_audit::harden::translate::Translation;
use seawall_audit::harden::{Change, dotted};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What is wanted.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// A shipped profile.
    pub(crate) profile: Option<String>,
    /// Changes that come from elsewhere.
    pub(crate) changes: Vec<Change>,
    /// Modes that findings ask for: id of the finding, path, permission bits.
    pub(crate) file_modes: Vec<(String, PathBuf, u32)>,
    /// What only a person can do.
    pub(crate) manual: Vec<String>,
    /// Only changes with these ids; all when empty.
    pub(crate) only: Vec<String>,
    /// Only what stops nothing.
    pub(crate) safe: bool,
    /// Close the modes of files too.
    pub(crate) modes: bool,
}

/// What would be done, before anything is.
pub(crate) struct Plan {
    pub(crate) title: String,
    /// Changes with the value that they replace.
    pub(crate) changes: Vec<(Option<Value>, Change)>,
    /// Changes that cannot be made, and why.
    pub(crate) refused: Vec<(Change, String)>,
    /// What only a person can do.
    pub(crate) manual: Vec<String>,
    /// What could not be looked at.
    pub(crate) unread: Vec<String>,
    /// The configuration that results, includes merged.
    pub(crate) config: Value,
    /// Files whose text changes: old and new.
    pub(crate) texts: Vec<(PathBuf, String, String)>,
    pub(crate) steps: Vec<Step>,
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
}

/// Makes a plan; reads only.
pub(crate) fn make(target: &Target, wish: &Wish) -> Result<Plan, String> {
    let old = target.documents()?;
    let mut new = old.clone();
    let mut plan = Plan {
        title: wish
            .profile
            .as_ref()
            .map_or("chosen changes".into(), |name| format!("profile {name}")),
        changes: Vec::new(),
        refused: Vec::new(),
        manual: wish.manual.clone(),
        unread: Vec::new(),
        config: Value::Null,
        texts: Vec::new(),
        steps: Vec::new(),
        blobs: BTreeMap::new(),
    };
    let wanted = |change: &Change| {
        (wish.only.is_empty() || wish.only.contains(&change.id))
            && (!wish.safe || change.breaks.is_none())
    };
    // What the installed release does not know comes first: the profiles judge what is meant.
    if wish.profile.is_some() {
        for change in Translation::shipped()?.changes(&new.value()) {
            plan.change(&mut new, change, &wanted);
        }
    }
    for change in &wish.changes {
        plan.change(&mut new, change.clone(), &wanted);
    }
    if let Some(name) = &wish.profile {
        let profile = Profile::shipped(name).map_err(|e| e.to_string())?;
        for change in profile.changes(&new.value()) {
            plan.change(&mut new, change, &wanted);
        }
        if let Some(change) = token(&new.value(), target) {
            plan.change(&mut new, change, &wanted);
        }
        if name == "production" {
            for change in [log(&new.value(), target), installs(&new.value())].into_iter().flatten()
            {
                plan.change(&mut new, change, &wanted);
            }
        }
    }
    plan.config = new.value();
    plan.files(&old, &new)?;
    for (id, path, mode) in &wish.file_modes {
        if wish.only.is_empty() || wish.only.contains(id) {
            plan.file_mode(path, *mode);
        }
    }
    if wish.modes {
        plan.modes(target, &new, &wish.only);
    }
    Ok(plan)
}

impl Plan {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The run that the journal gets.
    pub(crate) fn run(&self, target: &Target) -> Run {
        Run {
            at_ms: now_ms(),
            title: self.title.clone(),
            config: target.deployment.config_path.clone(),
            state_dir: target.deployment.state_dir.clone(),
            session: None,
            steps: self.steps.clone(),
        }
    }

    fn change(
        &mut self,
        documents: &mut Documents,
        change: Change,
        wanted: &dyn Fn(&Change) -> bool,
    ) {
        if !wanted(&change) {
            return;
        }
        let value = documents.value();
        let from = change.key.iter().try_fold(&value, |at, name| at.get(name)).cloned();
        if from == change.to {
            return;
        }
        let result = match &change.to {
            Some(to) => documents.set(&change.key, to),
            None => documents.remove(&change.key),
        };
        match result {
            Ok(()) => self.changes.push((from, change)),
            Err(why) => self.refused.push((change, why.to_string())),
        }
    }

    fn files(&mut self, old: &Documents, new: &Documents) -> Result<(), String> {
        for ((path, old), (_, new)) in old.texts().zip(new.texts()) {
            if old == new {
                continue;
            }
            let (before, bytes) = files::observe(path, true).map_err(|e| e.to_string())?;
            let State::File { mode, uid, gid, .. } = before else {
                return Err(format!("`{}` is not a file", path.display()));
            };
            let bytes = bytes.unwrap_or_default();
            if bytes != old.as_bytes() {
                return Err(format!("`{}` changed while the plan was made", path.display()));
            }
            let after = State::File {
                hash: Some(files::hash(new.as_bytes())),
                // It holds secrets or says where they are; OpenClaw writes it like this too.
                mode: mode & 0o700,
                uid,
                gid,
            };
            self.keep(bytes);
            self.keep(new.as_bytes().to_vec());
            self.steps.push(Step::Path { path: path.to_owned(), before, after });
            self.texts.push((path.to_owned(), old.to_owned(), new.to_owned()));
        }
        Ok(())
    }

    fn file_mode(&mut self, path: &Path, mode: u32) {
        let (before, after) = match files::observe(path, false) {
            Ok((State::File { hash, mode: old, uid, gid }, _)) if old != mode => (
                State::File { hash, mode: old, uid, gid },
                State::File { hash: None, mode, uid, gid },
            ),
            Ok((State::Dir { mode: old, uid, gid }, _)) if old != mode => {
                (State::Dir { mode: old, uid, gid }, State::Dir { mode, uid, gid })
            }
            Ok(_) => return,
            Err(e) => return self.unread.push(e.to_string()),
        };
        self.mode_step(Step::Path { path: path.to_owned(), before, after });
    }

    /// Adds a step unless the path has one: two would be in each other's way.
    fn mode_step(&mut self, step: Step) {
        let Step::Path { path, .. } = &step else { return };
        let taken = |other: &Step| matches!(other, Step::Path { path: other, .. } if other == path);
        if !self.steps.iter().any(taken) {
            self.steps.push(step);
        }
    }

    fn modes(&mut self, target: &Target, documents: &Documents, only: &[String]) {
        let config: Vec<PathBuf> = documents.texts().map(|(path, _)| path.to_owned()).collect();
        let found = modes::of(&target.deployment.state_dir, &config);
        self.unread.extend(found.unread);
        for step in found.steps {
            let Step::Path { path, .. } = &step else { continue };
            let id = format!("mode:{}", path.display());
            if only.is_empty() || only.contains(&id) || only.iter().any(|o| o == "modes") {
                self.mode_step(step);
            }
        }
    }

    fn keep(&mut self, bytes: Vec<u8>) {
        self.blobs.insert(files::hash(&bytes), bytes);
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let changes: Vec<Value> = self
            .changes
            .iter()
            .map(|(from, change)| {
                json!({
                    "id": change.id, "key": dotted(&change.key),
                    "from": from.as_ref().map(|v| shown(&change.key, v)),
                    "to": change.to.as_ref().map(|v| shown(&change.key, v)),
                    "why": change.why, "breaks": change.breaks, "source": change.source,
                })
            })
            .collect();
        let refused: Vec<Value> = self
            .refused
            .iter()
            .map(|(change, why)| json!({ "id": change.id, "reason": why }))
            .collect();
        let files: Vec<Value> = self
            .texts
            .iter()
            .map(|(path, old, new)| json!({ "path": path, "diff": diff(old, new) }))
            .collect();
        let modes: Vec<Value> = self
            .mode_steps()
            .map(|(path, before, after)| json!({ "id": format!("mode:{}", path.display()), "path": path, "from": before, "to": after }))
            .collect();
        json!({
            "title": self.title, "changes": changes, "refused": refused, "files": files,
            "modes": modes, "commands": self.commands(), "manual": self.manual, "unread": self.unread,
        })
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let groups = [("Stops nothing", false), ("May stop something", true)];
        for (title, breaks) in groups {
            let members: Vec<_> =
                self.changes.iter().filter(|(_, c)| c.breaks.is_some() == breaks).collect();
            if members.is_empty() {
                continue;
            }
            let _ = writeln!(out, "{title} ({}):\n", members.len());
            for (from, change) in members {
                let _ = writeln!(out, "  {}  {}", change.id, arrow(from.as_ref(), change));
                let _ = writeln!(out, "      {}", change.why);
                if let Some(breaks) = &change.breaks {
                    let _ = writeln!(out, "      stops: {breaks}");
                }
            }
            out.push('\n');
        }
        for (path, old, new) in &self.texts {
            let _ = writeln!(out, "{}\n{}", path.display(), diff(old, new));
        }
        let modes: Vec<_> = self.mode_steps().collect();
        if !modes.is_empty() {
            let _ =
                writeln!(out, "Closed to others ({}), id `modes` or `mode:PATH`:\n", modes.len());
            for (path, before, after) in modes.iter().take(12) {
                let _ = writeln!(out, "  {before} -> {after}  {}", path.display());
            }
            if modes.len() > 12 {
                let _ = writeln!(out, "  and {} more", modes.len() - 12);
            }
            out.push('\n');
        }
        for command in self.commands() {
            let _ = writeln!(out, "Then runs: {command}");
        }
        for (change, why) in &self.refused {
            let _ = writeln!(out, "Cannot be changed for you: {}: {why}", change.id);
        }
        for what in &self.manual {
            let _ = writeln!(out, "For you to do: {what}");
        }
        for what in &self.unread {
            let _ = writeln!(out, "Could not be looked at: {what}");
        }
        out
    }

    fn mode_steps(&self) -> impl Iterator<Item = (&PathBuf, String, String)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Path { path, before, after }
                if !self.texts.iter().any(|(other, ..)| other == path) =>
            {
                Some((path, mode(before), mode(after)))
            }
            _ => None,
        })
    }

    fn commands(&self) -> Vec<String> {
        self.steps
            .iter()
            .filter_map(|step| match step {
                Step::Command { run, .. } => Some(run.join(" ")),
                Step::Path { .. } => None,
            })
            .collect()
    }
}

/// A gateway that asks for a token and has none lets nobody in: it gets one.
fn token(config: &Value, target: &Target) -> Option<Change> {
    let auth = config.pointer("/gateway/auth")?;
    let asks = auth.get("mode").and_then(Value::as_str) == Some("token");
    let name = "OPENCLAW_GATEWAY_TOKEN";
    let elsewhere = std::env::var_os(name).is_some_and(|value| !value.is_empty())
        // The file is the gateway's, and may be anything.
        || crate::collect::openclaw::dot_env(&target.deployment.state_dir.join(".env"))
            .contains_key(name);
    if !asks || auth.get("token").is_some() || elsewhere {
        return None;
    }
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(Change {
        id: "gateway.auth.token".into(),
        key: ["gateway", "auth", "token"].map(str::to_owned).to_vec(),
        to: Some(Value::String(hex::encode(bytes))),
        why: "the gateway asks for a token and has none; `openclaw gateway auth-token --show` prints it".into(),
        breaks: Some("clients that connected without one".into()),
        source: "profile".into(),
    })
}

/// A log that a restart empties is none: it goes where the state is.
fn log(config: &Value, target: &Target) -> Option<Change> {
    let file = config.pointer("/logging/file").and_then(Value::as_str);
    let temporary = |file: &str| {
        (file.starts_with("/tmp/") || file.starts_with("/var/tmp/"))
            && !Path::new(file).starts_with(&target.deployment.state_dir)
    };
    if file.is_some_and(|file| !temporary(file)) {
        return None;
    }
    let path = target.deployment.state_dir.join("logs/openclaw.log");
    Some(Change {
        id: "logging.file".into(),
        key: ["logging", "file"].map(str::to_owned).to_vec(),
        to: Some(Value::String(path.to_str()?.to_owned())),
        why: "`/tmp` is emptied at a restart, and others can read there".into(),
        breaks: Some("what reads the log at its old place".into()),
        source: "profile".into(),
    })
}

/// Nothing is installed that nobody looked at: this program looks.
fn installs(config: &Value) -> Option<Change> {
    let policy = config.pointer("/security/installPolicy");
    let on = policy.and_then(|policy| policy.get("enabled")) == Some(&Value::Bool(true));
    if on && policy.is_some_and(|policy| policy.pointer("/exec/command").is_some()) {
        return None;
    }
    let program = std::env::current_exe().ok()?.to_str()?.to_owned();
    Some(Change {
        id: "security.installPolicy".into(),
        key: ["security", "installPolicy"].map(str::to_owned).to_vec(),
        to: Some(json!({
            "enabled": true,
            "exec": {
                "source": "exec", "command": program, "args": ["skill", "install-policy"],
                "passEnv": ["HOME"],
            },
        })),
        why: "`seawall skill` looks at each skill and plugin before it is installed".into(),
        breaks: Some(
            "installs that are found to be dangerous; all of them, once this program is moved"
                .into(),
        ),
        source: "profile".into(),
    })
}

fn arrow(from: Option<&Value>, change: &Change) -> String {
    let show = |value: Option<&Value>| {
        value.map_or("(not set)".to_owned(), |value| shown(&change.key, value).to_string())
    };
    match &change.to {
        Some(to) => format!("{} -> {}", show(from), show(Some(to))),
        None => format!("{} -> (removed)", show(from)),
    }
}

fn shown(key: &[String], value: &Value) -> Value {
    match value {
        Value::String(text) => {
            json!(secret::shown(key.last().map_or("", String::as_str), text))
        }
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), shown(std::slice::from_ref(name), value)))
            .collect(),
        Value::Array(items) => items.iter().map(|item| shown(key, item)).collect(),
        plain => plain.clone(),
    }
}

fn diff(old: &str, new: &str) -> String {
    secret::diff(old, new, 2, None)
}

fn mode(state: &State) -> String {
    match state {
        State::Absent => "none".into(),
        State::File { mode, .. } | State::Dir { mode, .. } => format!("{mode:04o}"),
    }
}
