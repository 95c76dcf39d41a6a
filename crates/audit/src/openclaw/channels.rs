//! Message channels and their accounts (channels/groups.md, channels/pairing.md).

use crate::facts::{Config, strings};
use serde_json::{Map, Value};

/// Settings below `channels` that are no channel.
const NOT_CHANNELS: &[&str] = &["defaults", "modelByChannel"];

/// One account of a channel, with what it inherits from the channel.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// `telegram`, `discord` ...
    pub(crate) channel: String,
    /// Its name; `None` when the channel itself is the account.
    pub(crate) id: Option<String>,
    /// Its settings, inherited ones included.
    pub(crate) settings: Map<String, Value>,
    own: Map<String, Value>,
    default_group_policy: String,
}

/// Every account of every channel that is not switched off.
pub(crate) fn accounts(config: &Config) -> Vec<Account> {
    let mut out = Vec::new();
    let default = config.str("channels.defaults.groupPolicy").unwrap_or("allowlist").to_owned();
    for (channel, value) in config.get("channels").and_then(Value::as_object).into_iter().flatten()
    {
        let Some(section) = value.as_object().filter(|_| !NOT_CHANNELS.contains(&channel.as_str()))
        else {
            continue;
        };
        if section.get("enabled") == Some(&Value::Bool(false)) {
            continue;
        }
        let named = section.get("accounts").and_then(Value::as_object);
        let base: Map<String, Value> = section
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "accounts" | "defaultAccount"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let make = |id: Option<&String>, own: &Map<String, Value>, settings| Account {
            channel: channel.clone(),
            id: id.cloned(),
            settings,
            own: own.clone(),
            default_group_policy: default.clone(),
        };
        for (id, own) in named.into_iter().flatten() {
            let Some(own) = own.as_object() else { continue };
            if own.get("enabled") == Some(&Value::Bool(false)) {
                continue;
            }
            let mut settings = base.clone();
            settings.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
            out.push(make(Some(id), own, settings));
        }
        if named.is_none_or(Map::is_empty) {
            out.push(make(None, section, base));
        }
    }
    out
}

impl Account {
    /// The path of one of its settings: where it stands, or where it would be set.
    pub(crate) fn path(&self, key: &str) -> Vec<String> {
        let mut path = vec!["channels".to_owned(), self.channel.clone()];
        let head = key.split('.').next().unwrap_or(key);
        if let Some(id) = &self.id
            && (self.own.contains_key(head) || !self.settings.contains_key(head))
        {
            path.extend(["accounts".to_owned(), id.clone()]);
        }
        path.extend(key.split('.').map(str::to_owned));
        path
    }

    /// The same as text.
    pub(crate) fn key(&self, key: &str) -> String {
        self.path(key).join(".")
    }

    /// A name for people: `telegram`, `telegram/work`.
    pub(crate) fn name(&self) -> String {
        match &self.id {
            Some(id) => format!("{}/{id}", self.channel),
            None => self.channel.clone(),
        }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        let mut parts = key.split('.');
        let head = self.settings.get(parts.next()?)?;
        parts.try_fold(head, |at, part| at.get(part))
    }

    /// A text.
    pub(crate) fn str(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// A list of texts.
    pub(crate) fn list(&self, key: &str) -> Vec<String> {
        self.get(key).map(strings).unwrap_or_default()
    }

    /// Who may write to it directly: `pairing`, `allowlist`, `open`, `disabled`.
    pub(crate) fn dm_policy(&self) -> &str {
        self.str("dmPolicy").or_else(|| self.str("dm.policy")).unwrap_or("pairing")
    }

    /// The key that says so.
    pub(crate) fn dm_key(&self) -> &'static str {
        if self.str("dmPolicy").is_none() && self.str("dm.policy").is_some() {
            "dm.policy"
        } else {
            "dmPolicy"
        }
    }

    /// Senders that the configuration lists for direct messages.
    pub(crate) fn allow_from(&self) -> Vec<String> {
        let mut list = self.list("allowFrom");
        list.extend(self.list("dm.allowFrom"));
        list
    }

    /// Who may talk to it in groups: `allowlist`, `open`, `disabled`.
    pub(crate) fn group_policy(&self) -> &str {
        self.str("groupPolicy").unwrap_or(&self.default_group_policy)
    }

    /// The groups, guilds, rooms or channels that are listed, by the key that lists them.
    pub(crate) fn groups(&self) -> Vec<(&'static str, &Map<String, Value>)> {
        ["groups", "guilds", "channels", "rooms"]
            .into_iter()
            .filter_map(|key| Some((key, self.get(key)?.as_object()?)))
            .filter(|(_, map)| !map.is_empty())
            .collect()
    }
}

/// Where anybody may write, as keys.
pub(crate) fn open_policies(config: &Config) -> Vec<String> {
    let mut out = Vec::new();
    for account in accounts(config) {
        if account.group_policy() == "open" {
            out.push(account.key("groupPolicy"));
        }
        if account.dm_policy() == "open" {
            out.push(account.key(account.dm_key()));
        }
    }
    out.sort();
    out.dedup();
    out
}

/// Whether a list entry is a name that its owner can change, and somebody else can take, rather
/// than the service's own id. `None`: this channel's ids have no form to tell by.
pub(crate) fn is_mutable_name(channel: &str, entry: &str) -> Option<bool> {
    let entry = entry.trim();
    if entry == "*" || entry.starts_with("accessGroup:") {
        return Some(false);
    }
    let bare = entry.split_once(':').map_or(entry, |(prefix, rest)| {
        let known = ["telegram", "tg", "discord", "user", "slack", "whatsapp", "signal"];
        if known.contains(&prefix.to_ascii_lowercase().as_str()) { rest } else { entry }
    });
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    Some(match channel {
        "telegram" => !digits(bare.trim_start_matches('-')),
        "discord" => !(digits(bare) && bare.len() >= 15),
        "whatsapp" => !digits(bare.trim_start_matches('+').split('@').next().unwrap_or_default()),
        "slack" => {
            !(bare.starts_with(['U', 'W'])
                && bare.len() >= 9
                && bare.chars().all(|c| c.is_ascii_alphanumeric()))
        }
        "signal" => !(bare.starts_with('+') || bare.starts_with("uuid:") || bare.len() == 36),
        "matrix" => !(bare.starts_with('@') && bare.contains(':')),
        "imessage" => !(bare.contains('@') || bare.starts_with('+')),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(value: Value) -> Config {
        Config { value: json!({ "channels": value }), ..Config::default() }
    }

    #[test]
    fn accounts_inherit_and_can_be_off() {
        let config = config(json!({
            "defaults": { "groupPolicy": "open" },
            "telegram": { "dmPolicy": "allowlist", "accounts": { "a": { "dmPolicy": "open" }, "b": {}, "c": { "enabled": false } } },
            "discord": { "dm": { "policy": "open" }, "groupPolicy": "disabled" },
            "slack": { "enabled": false }
        }));
        let mut all = accounts(&config);
        all.sort_by_key(Account::name);
        let policies: Vec<_> = all
            .iter()
            .map(|a| (a.name(), a.dm_policy().to_owned(), a.group_policy().to_owned()))
            .collect();
        assert_eq!(
            policies,
            [
                ("discord".to_owned(), "open".to_owned(), "disabled".to_owned()),
                ("telegram/a".to_owned(), "open".to_owned(), "open".to_owned()),
                ("telegram/b".to_owned(), "allowlist".to_owned(), "open".to_owned()),
            ]
        );
        assert_eq!(all[1].key("dmPolicy"), "channels.telegram.accounts.a.dmPolicy");
        assert_eq!(all[2].key("dmPolicy"), "channels.telegram.dmPolicy");
        assert!(open_policies(&config).contains(&"channels.discord.dm.policy".to_owned()));
    }

    #[test]
    fn ids_are_told_from_names() {
        for (channel, id, name) in [
            ("telegram", "tg:12345", "@somebody"),
            ("discord", "123456789012345678", "somebody#1"),
            ("whatsapp", "+15550001111", "Bob"),
            ("slack", "U0123ABCD", "@bob"),
            ("matrix", "@bob:example.org", "bob"),
        ] {
            assert_eq!(is_mutable_name(channel, id), Some(false), "{id}");
            assert_eq!(is_mutable_name(channel, name), Some(true), "{name}");
        }
        assert_eq!(is_mutable_name("irc", "bob"), None);
    }
}
