//! Who can write to the agent, per channel and account, and what closes it.

use super::change::Change;
use serde::Serialize;
use serde_json::{Value, json};

/// Names below `channels` that are no channel.
const NO_CHANNEL: [&str; 2] = ["defaults", "modelByChannel"];

/// One account of a channel, as the configuration makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// The channel.
    pub channel: String,
    /// The account; absent for the channel's own settings.
    pub account: Option<String>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Who may write directly.
    pub dm: String,
    /// Who may write in groups.
    pub group: String,
    /// Whether the list holds `*`.
    pub everybody: bool,
    /// Listed senders that are ids.
    pub ids: usize,
    /// Listed senders that are names, which their owners can change.
    pub names: Vec<String>,
    /// Groups in which every line is an instruction.
    pub unmentioned: Vec<String>,
}

/// Every channel account of a configuration.
pub fn accounts(root: &Value) -> Vec<Account> {
    let group = root.pointer("/channels/defaults/groupPolicy").and_then(Value::as_str);
    let channels = root.get("channels").and_then(Value::as_object);
    let mut out = Vec::new();
    for (name, channel) in channels.into_iter().flatten() {
        if NO_CHANNEL.contains(&name.as_str()) || !channel.is_object() {
            continue;
        }
        out.push(account(name, None, channel, None, group));
        let accounts = channel.get("accounts").and_then(Value::as_object);
        for (id, value) in accounts.into_iter().flatten() {
            out.push(account(name, Some(id), value, Some(channel), group));
        }
    }
    out
}

fn account(
    channel: &str,
    id: Option<&String>,
    own: &Value,
    above: Option<&Value>,
    group: Option<&str>,
) -> Account {
    let find = |key: &str| own.get(key).or_else(|| above.and_then(|above| above.get(key)));
    let text = |key: &str| find(key).and_then(Value::as_str);
    let dm = text("dmPolicy").or_else(|| find("dm")?.get("policy")?.as_str()).unwrap_or("pairing");
    let listed: Vec<&Value> =
        find("allowFrom").and_then(Value::as_array).into_iter().flatten().collect();
    let everybody = listed.iter().any(|entry| entry.as_str() == Some("*"));
    let names: Vec<String> = listed
        .iter()
        .filter_map(|entry| entry.as_str())
        .filter(|entry| *entry != "*" && !is_id(entry))
        .map(str::to_owned)
        .collect();
    let groups = find("groups").and_then(Value::as_object);
    Account {
        channel: channel.to_owned(),
        account: id.cloned(),
        enabled: find("enabled").and_then(Value::as_bool).unwrap_or(true),
        dm: dm.to_owned(),
        group: text("groupPolicy").or(group).unwrap_or("allowlist").to_owned(),
        everybody,
        ids: listed.len() - names.len() - usize::from(everybody),
        names,
        unmentioned: groups
            .into_iter()
            .flatten()
            .filter(|(_, group)| group.get("requireMention") == Some(&json!(false)))
            .map(|(name, _)| name.clone())
            .collect(),
    }
}

/// Whether an entry is an id that its owner cannot change: digits (with a sign, a plus, a channel's
/// prefix), or a symbolic reference that OpenClaw resolves itself. Everything else may be a name.
pub fn is_id(entry: &str) -> bool {
    if entry.starts_with("accessGroup:") {
        return true;
    }
    let bare = entry.rsplit_once(':').map_or(entry, |(_, bare)| bare);
    let digits = bare.trim_start_matches(['+', '-']);
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '-' | ' ');
    let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    // Slack and Discord: U012ABCDEF; Matrix: @user:server, which the server's owner fixes.
    let slack = bare.len() >= 8 && bare.starts_with(['U', 'W', 'B']) && bare.chars().all(upper);
    let matrix = entry.starts_with('@') && entry.contains(':');
    (!digits.is_empty() && digits.chars().all(plain)) || slack || matrix
}

/// What lets a sender write to the agent: it is listed. Nothing else changes.
pub fn allow(root: &Value, channel: &str, id: &str) -> Option<Change> {
    let mut listed = listed(root, channel)?;
    if listed.iter().any(|entry| same(entry, channel, id)) {
        return None;
    }
    listed.push(id.parse::<i64>().map_or_else(|_| json!(id), |number| json!(number)));
    Some(list(channel, &[], listed, "this sender may write to the agent", None))
}

/// What takes a sender off the lists of a channel and its accounts.
pub fn revoke(root: &Value, channel: &str, id: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    let accounts =
        root.pointer(&format!("/channels/{channel}/accounts")).and_then(Value::as_object);
    let holders = std::iter::once(Vec::new())
        .chain(accounts.into_iter().flatten().map(|(name, _)| vec!["accounts", name.as_str()]));
    for below in holders {
        for name in ["allowFrom", "groupAllowFrom"] {
            let key = ["channels", channel].into_iter().chain(below.iter().copied()).chain([name]);
            let now = key.clone().try_fold(root, |at, part| at.get(part)).and_then(Value::as_array);
            let Some(now) = now else { continue };
            let left: Vec<Value> =
                now.iter().filter(|entry| !same(entry, channel, id)).cloned().collect();
            if left.len() < now.len() {
                let mut change = list(
                    channel,
                    &below,
                    left,
                    "this sender may not write to the agent any more",
                    Some("this sender"),
                );
                if let Some(last) = change.key.last_mut() {
                    name.clone_into(last);
                }
                change.id = super::dotted(&change.key);
                changes.push(change);
            }
        }
    }
    changes
}

/// Whether an entry names this sender: as it stands, or with the channel before it.
pub fn same(entry: &Value, channel: &str, id: &str) -> bool {
    let text = match entry {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let bare = |text: &str| {
        text.strip_prefix(channel)
            .and_then(|rest| rest.strip_prefix(':'))
            .unwrap_or(text)
            .to_owned()
    };
    bare(&text) == bare(id)
}

fn listed(root: &Value, channel: &str) -> Option<Vec<Value>> {
    let value = root.get("channels")?.get(channel)?;
    Some(value.get("allowFrom").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn list(
    channel: &str,
    below: &[&str],
    entries: Vec<Value>,
    why: &str,
    breaks: Option<&str>,
) -> Change {
    let key: Vec<String> = ["channels", channel]
        .into_iter()
        .chain(below.iter().copied())
        .chain(["allowFrom"])
        .map(str::to_owned)
        .collect();
    Change {
        id: super::dotted(&key),
        key,
        to: Some(json!(entries)),
        why: why.to_owned(),
        breaks: breaks.map(str::to_owned),
        source: "channels".into(),
    }
}

/// What closes a channel: listed people only (pairing where nobody is listed: an allowlist of
/// nobody is refused by OpenClaw), listed groups only, mentions required.
pub fn lock(root: &Value, channel: &str, allow: &[String]) -> Vec<Change> {
    let Some(value) = root.get("channels").and_then(|channels| channels.get(channel)) else {
        return Vec::new();
    };
    let mut holders = vec![(vec!["channels".to_owned(), channel.to_owned()], value)];
    let accounts = value.get("accounts").and_then(Value::as_object);
    for (id, account) in accounts.into_iter().flatten() {
        let key = ["channels", channel, "accounts", id].map(str::to_owned).to_vec();
        holders.push((key, account));
    }
    let mut changes = Vec::new();
    for (at, (base, holder)) in holders.into_iter().enumerate() {
        let mut change = |path: &[&str], to: Value, why: &str, breaks: &str| {
            let key: Vec<String> =
                base.iter().cloned().chain(path.iter().map(|name| (*name).to_owned())).collect();
            let now = key.iter().try_fold(root, |at, name| at.get(name));
            if now != Some(&to) {
                changes.push(Change {
                    id: super::dotted(&key),
                    key,
                    to: Some(to),
                    why: why.to_owned(),
                    breaks: Some(breaks.to_owned()),
                    source: "lock".into(),
                });
            }
        };
        let written = holder.get("allowFrom").and_then(Value::as_array);
        let mut listed: Vec<Value> = written.cloned().unwrap_or_default();
        listed.retain(|entry| entry != "*");
        if at == 0 {
            for id in allow {
                let id = id.parse::<i64>().map_or_else(|_| json!(id), |number| json!(number));
                if !listed.contains(&id) {
                    listed.push(id);
                }
            }
        }
        let main = at == 0;
        let stranger = "people who are not listed";
        if !listed.is_empty() || written.is_some() {
            change(&["allowFrom"], json!(listed), "only these people instruct the agent", stranger);
        }
        let dm = holder.get("dmPolicy").and_then(Value::as_str);
        let closed = if listed.is_empty() { "pairing" } else { "allowlist" };
        if dm != Some("disabled") && (main || dm.is_some()) {
            change(&["dmPolicy"], json!(closed), "a stranger's message is dropped", stranger);
        }
        let group = holder.get("groupPolicy").and_then(Value::as_str);
        if group != Some("disabled") && (main || group.is_some()) {
            change(
                &["groupPolicy"],
                json!("allowlist"),
                "groups that are not listed are ignored",
                "groups that are not listed",
            );
        }
        let groups = holder.get("groups").and_then(Value::as_object);
        for (name, group) in groups.into_iter().flatten() {
            if group.get("requireMention") == Some(&json!(false)) {
                change(
                    &["groups", name, "requireMention"],
                    json!(true),
                    "only what names the agent is for it",
                    "groups in which the agent answers unasked",
                );
            }
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_told_apart() {
        for id in [
            "123",
            "-100123",
            "+49 151 1",
            "telegram:5",
            "tg:5",
            "U012ABCDEF",
            "@a:server",
            "accessGroup:x",
        ] {
            assert!(is_id(id), "{id}");
        }
        for name in ["@user", "user", "a@example.org", "Ada Lovelace", "discord:ada", "", "+"] {
            assert!(!is_id(name), "{name}");
        }
    }

    #[test]
    fn an_account_inherits_from_its_channel() {
        let root = json!({"channels":{"defaults":{"groupPolicy":"open"},"telegram":{"dmPolicy":"open","allowFrom":["*","@me",5],
            "groups":{"*":{"requireMention":false}},"accounts":{"b":{"dmPolicy":"disabled"}}}}});
        let all = accounts(&root);
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[0].dm.as_str(), all[0].group.as_str(), all[0].ids, all[0].everybody),
            ("open", "open", 1, true)
        );
        assert_eq!(all[0].names, ["@me"]);
        assert_eq!((all[1].dm.as_str(), all[1].unmentioned.len()), ("disabled", 1));
    }

    #[test]
    fn one_sender_is_let_in_and_taken_out_again() {
        let mut root = json!({"channels":{"telegram":{"allowFrom":[1, "@x"],"accounts":{"b":{"allowFrom":["telegram:2"],"groupAllowFrom":[2]}}}}});
        allow(&root, "telegram", "2").unwrap().apply(&mut root);
        assert_eq!(root["channels"]["telegram"]["allowFrom"], json!([1, "@x", 2]));
        assert!(
            allow(&root, "telegram", "telegram:2").is_none() && allow(&root, "no", "2").is_none()
        );
        revoke(&root, "telegram", "2").iter().for_each(|change| change.apply(&mut root));
        assert_eq!(
            root,
            json!({"channels":{"telegram":{"allowFrom":[1, "@x"],"accounts":{"b":{"allowFrom":[],"groupAllowFrom":[]}}}}})
        );
        assert!(revoke(&root, "telegram", "2").is_empty());
    }

    #[test]
    fn a_locked_channel_knows_whom_it_listens_to() {
        let mut root = json!({"channels":{"telegram":{"dmPolicy":"open","allowFrom":["*"],"groups":{"g":{"requireMention":false}},
            "accounts":{"b":{"dmPolicy":"open"},"c":{}}}}});
        lock(&root, "telegram", &["42".into()]).iter().for_each(|change| change.apply(&mut root));
        assert_eq!(
            root,
            json!({"channels":{"telegram":{"dmPolicy":"allowlist","allowFrom":[42],"groupPolicy":"allowlist","groups":{"g":{"requireMention":true}},
                "accounts":{"b":{"dmPolicy":"pairing"},"c":{}}}}})
        );
        assert!(lock(&root, "telegram", &[]).is_empty() && lock(&root, "none", &[]).is_empty());
    }
}
