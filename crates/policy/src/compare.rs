//! Two bundles compared: whether the new one allows anything that the old one does not.
//!
//! The question is answered for one decision in any state: a change is [`Direction::Narrower`]
//! when every call that the new bundle allows is allowed by the old one as well, and every call
//! that it asks about is allowed or asked about. What is not known to narrow counts as unclear,
//! and a change with anything wider or unclear in it is for a person to approve
//! ([`asks`]). Over a whole session a narrower policy can lead elsewhere: a document that is no
//! longer read does not influence what comes after it either.
//!
//! That a longer list of hosts allows more is a property of the shipped rules. An operator's own
//! rule can turn it around (`forbid … when { context.host_class == "listed" }`), so a change of a
//! setting is unclear as soon as a rule of the operator speaks about what the setting decides.

use crate::bundle::Bundle;
use crate::hosts;
use crate::paths;
use crate::rules::RuleInfo;
use crate::sequence::{Sequence, Then};
use crate::settings::{Base, Override, Settings};
use serde_json::Value;
use std::collections::BTreeMap;

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// No decision changes; texts or deadlines do.
    Neutral,
    /// Allows less.
    Narrower,
    /// May allow more or less, or what cannot be told.
    Unclear,
    /// Allows more.
    Wider,
}

impl Direction {
    /// The word shown to a person.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Narrower => "narrower",
            Self::Unclear => "unclear",
            Self::Wider => "wider",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What changes: a key with what is added or taken away, a rule, a sequence, a tool.
    pub what: String,
    /// Which way.
    pub direction: Direction,
}

/// Whether a person has to approve the changes before they apply.
#[must_use]
pub fn asks(changes: &[Change]) -> bool {
    changes.iter().any(|c| matches!(c.direction, Direction::Unclear | Direction::Wider))
}

/// Everything in which two bundles differ. Empty when they decide the same.
#[must_use]
pub fn compare(old: &Bundle, new: &Bundle) -> Vec<Change> {
    let mut out = Differences { changes: Vec::new(), operator: Vec::new() };
    for bundle in [old, new] {
        out.operator.extend(bundle.rules().infos().filter(|i| !i.shipped).map(|i| i.form.clone()));
    }
    // The shipped bundles are known to be one narrower than the other; what an operator's rules
    // left out of them is found rule by rule.
    if old.settings().base == new.settings().base || !out.operator.is_empty() {
        out.rules(old, new);
    }
    out.sequences(old, new);
    out.tools(old, new);
    out.settings(old.settings(), new.settings());
    out.changes
}

struct Differences {
    changes: Vec<Change>,
    /// Rules of the operator in either bundle.
    operator: Vec<Value>,
}

/// What the trust of a session goes into.
const TRUST: &[&str] = &["trust", "outside", "licensed", "target", "payload", "tainted_file"];

impl Differences {
    fn add(&mut self, what: String, direction: Direction) {
        self.changes.push(Change { what, direction });
    }

    /// Adds a change of a setting, unclear when a rule of the operator looks at what it decides.
    fn set(&mut self, what: String, direction: Direction, decides: &[&str]) {
        let looked_at = self.operator.iter().any(|form| decides.iter().any(|d| mentions(form, d)));
        let direction = if looked_at && direction != Direction::Neutral {
            Direction::Unclear
        } else {
            direction
        };
        self.add(what, direction);
    }

    fn rules(&mut self, old: &Bundle, new: &Bundle) {
        let by_id = |b: &Bundle| -> BTreeMap<String, RuleInfo> {
            b.rules().infos().map(|i| (i.id.clone(), i.clone())).collect()
        };
        let (before, after) = (by_id(old), by_id(new));
        for (id, was) in &before {
            match after.get(id) {
                None => {
                    let direction =
                        if was.permits { Direction::Narrower } else { Direction::Wider };
                    self.add(format!("- rule {id}"), direction);
                }
                Some(is) if was != is => self.add(format!("~ rule {id}"), rule(was, is)),
                Some(_) => {}
            }
        }
        for (id, is) in after.iter().filter(|(id, _)| !before.contains_key(*id)) {
            let direction = if is.permits { Direction::Wider } else { Direction::Narrower };
            self.add(format!("+ rule {id}"), direction);
        }
    }

    fn sequences(&mut self, old: &Bundle, new: &Bundle) {
        let by_id = |b: &Bundle| -> BTreeMap<String, Sequence> {
            b.sequences().rules().map(|s| (s.id.clone(), s.clone())).collect()
        };
        let (before, after) = (by_id(old), by_id(new));
        for (id, was) in &before {
            match after.get(id) {
                None => self.add(format!("- sequence {id}"), Direction::Wider),
                Some(is) if was != is => self.add(format!("~ sequence {id}"), sequence(was, is)),
                Some(_) => {}
            }
        }
        for id in after.keys().filter(|id| !before.contains_key(*id)) {
            self.add(format!("+ sequence {id}"), Direction::Narrower);
        }
    }

    /// A declaration says what a tool does, so a changed one can go either way.
    fn tools(&mut self, old: &Bundle, new: &Bundle) {
        let (before, after) = (old.catalogue(), new.catalogue());
        for name in before.names() {
            match after.get(name) {
                None => self.add(format!("- tool {name}"), Direction::Unclear),
                Some(is) if before.get(name) != Some(is) => {
                    self.add(format!("~ tool {name}"), Direction::Unclear);
                }
                Some(_) => {}
            }
        }
        for name in after.names().into_iter().filter(|n| before.get(n).is_none()) {
            self.add(format!("+ tool {name}"), Direction::Unclear);
        }
    }

    fn settings(&mut self, old: &Settings, new: &Settings) {
        // Every field is named, so that a new one cannot be forgotten here.
        let Settings {
            base,
            listed_hosts,
            private_hosts,
            listed_senders,
            listed_recipients,
            owner,
            private_sinks,
            tools_deny,
            tools_allow,
            read_folders,
            write_folders,
            ask_seconds,
            permit_seconds,
            budget,
            agent_budget,
            sender_budget,
            places,
            overrides,
        } = old;
        if *base != new.base {
            let direction =
                if new.base == Base::Owner { Direction::Wider } else { Direction::Narrower };
            self.add(format!("base = {:?}", new.base).to_lowercase(), direction);
        }
        let host = |pattern: &str, list: &[String]| covers_host(list, pattern);
        let same = |entry: &str, list: &[String]| list.iter().any(|e| e == entry);
        let folder =
            |entry: &str, list: &[String]| list.iter().any(|root| paths::below(entry, root));
        self.list("listed_hosts", listed_hosts, &new.listed_hosts, &["host_class"], host);
        self.list("private_hosts", private_hosts, &new.private_hosts, &["host_class"], host);
        self.list("private_sinks", private_sinks, &new.private_sinks, &["payload"], host);
        self.list("listed_senders", listed_senders, &new.listed_senders, TRUST, same);
        let target = &["target", "licensed"];
        self.list("listed_recipients", listed_recipients, &new.listed_recipients, target, same);
        self.list("owner", owner, &new.owner, &["target", "payload", "licensed"], same);
        self.list("read_folders", read_folders, &new.read_folders, &["path_class"], folder);
        // The narrowest folder counts: one that may only be read takes itself out of one around it
        // that may be written.
        let writable = |entry: &str, list: &[String]| {
            read_folders.is_empty() && new.read_folders.is_empty() && folder(entry, list)
        };
        self.list("write_folders", write_folders, &new.write_folders, &["path_class"], writable);
        for entry in read_folders.iter().filter(|e| !new.read_folders.contains(e)) {
            if folder(entry, &new.write_folders) {
                self.add(format!("\"{entry}\" may be written"), Direction::Wider);
            }
        }
        self.tool_lists("", (tools_deny, tools_allow), (&new.tools_deny, &new.tools_allow));
        let deadline = |a: u64, b: u64| match a.cmp(&b) {
            std::cmp::Ordering::Less => Direction::Wider,
            std::cmp::Ordering::Equal => Direction::Neutral,
            std::cmp::Ordering::Greater => Direction::Narrower,
        };
        if *ask_seconds != new.ask_seconds {
            // How long a person may think; nothing runs without the answer.
            self.add(format!("ask_seconds = {}", new.ask_seconds), Direction::Neutral);
        }
        if *permit_seconds != new.permit_seconds {
            let direction = deadline(*permit_seconds, new.permit_seconds);
            self.add(format!("permit_seconds = {}", new.permit_seconds), direction);
        }
        for (name, was, is) in [
            ("budget", budget, &new.budget),
            ("agent_budget", agent_budget, &new.agent_budget),
            ("sender_budget", sender_budget, &new.sender_budget),
        ] {
            let crate::settings::Budget {
                calls_per_hour,
                spawns_per_hour,
                sends_per_hour,
                outbound_bytes_per_hour,
                model_calls_per_hour,
            } = *was;
            for (key, was, is) in [
                ("calls_per_hour", calls_per_hour.into(), is.calls_per_hour.into()),
                ("spawns_per_hour", spawns_per_hour.into(), is.spawns_per_hour.into()),
                ("sends_per_hour", sends_per_hour.into(), is.sends_per_hour.into()),
                ("outbound_bytes_per_hour", outbound_bytes_per_hour, is.outbound_bytes_per_hour),
                (
                    "model_calls_per_hour",
                    model_calls_per_hour.into(),
                    is.model_calls_per_hour.into(),
                ),
            ] {
                if was != is {
                    self.add(format!("{name}.{key} = {is}"), deadline(was, is));
                }
            }
        }
        if *places != new.places {
            self.add("where the deployment's folders are".to_owned(), Direction::Unclear);
        }
        self.overrides(overrides, &new.overrides);
    }

    /// A list whose entries each allow something.
    fn list(
        &mut self,
        key: &str,
        old: &[String],
        new: &[String],
        decides: &[&str],
        covered: impl Fn(&str, &[String]) -> bool,
    ) {
        for entry in new.iter().filter(|e| !old.contains(e)) {
            let direction = if covered(entry, old) { Direction::Neutral } else { Direction::Wider };
            self.set(format!("{key} += \"{entry}\""), direction, decides);
        }
        for entry in old.iter().filter(|e| !new.contains(e)) {
            let direction =
                if covered(entry, new) { Direction::Neutral } else { Direction::Narrower };
            self.set(format!("{key} -= \"{entry}\""), direction, decides);
        }
    }

    fn tool_lists(
        &mut self,
        at: &str,
        (old_deny, old_allow): (&[String], &[String]),
        (new_deny, new_allow): (&[String], &[String]),
    ) {
        let decides: &[&str] = &["tool_denied"];
        for entry in new_deny.iter().filter(|e| !old_deny.contains(e)) {
            self.set(format!("{at}tools_deny += \"{entry}\""), Direction::Narrower, decides);
        }
        for entry in old_deny.iter().filter(|e| !new_deny.contains(e)) {
            let direction =
                if covers_tool(new_deny, entry) { Direction::Neutral } else { Direction::Wider };
            self.set(format!("{at}tools_deny -= \"{entry}\""), direction, decides);
        }
        // An empty list of allowed tools allows all of them.
        match (old_allow.is_empty(), new_allow.is_empty()) {
            (true, true) => {}
            (true, false) => {
                self.set(format!("{at}tools_allow = {new_allow:?}"), Direction::Narrower, decides);
            }
            (false, true) => {
                self.set(format!("{at}tools_allow = []"), Direction::Wider, decides);
            }
            (false, false) => {
                for entry in new_allow.iter().filter(|e| !old_allow.contains(e)) {
                    let direction = if covers_tool(old_allow, entry) {
                        Direction::Neutral
                    } else {
                        Direction::Wider
                    };
                    self.set(format!("{at}tools_allow += \"{entry}\""), direction, decides);
                }
                for entry in old_allow.iter().filter(|e| !new_allow.contains(e)) {
                    self.set(
                        format!("{at}tools_allow -= \"{entry}\""),
                        Direction::Narrower,
                        decides,
                    );
                }
            }
        }
    }

    /// The first exception that matches counts, so they are comparable one by one only when they
    /// select the same in the same order.
    fn overrides(&mut self, old: &[Override], new: &[Override]) {
        let selectors = |o: &Override| {
            (o.agent.clone(), o.channel.clone(), o.sender.clone(), o.session.clone())
        };
        let comparable = old.iter().zip(new).all(|(a, b)| selectors(a) == selectors(b));
        if !comparable {
            self.add("override tables in another order".to_owned(), Direction::Unclear);
            return;
        }
        let nothing = Override::default();
        let most = old.len().max(new.len());
        for i in 0..most {
            // One that was not there did nothing: those that stand last are met by what matched
            // none of the others.
            let was = old.get(i).unwrap_or(&nothing);
            let is = new.get(i).unwrap_or(&nothing);
            let Override {
                agent: _,
                channel: _,
                sender: _,
                session: _,
                tools_deny,
                tools_allow,
                listed_hosts,
                untrusted,
            } = was;
            let at = format!("override {}: ", i + 1);
            self.tool_lists(&at, (tools_deny, tools_allow), (&is.tools_deny, &is.tools_allow));
            let key = format!("{at}listed_hosts");
            let host = |pattern: &str, list: &[String]| covers_host(list, pattern);
            self.list(&key, listed_hosts, &is.listed_hosts, &["host_class"], host);
            if *untrusted != is.untrusted {
                let direction = if is.untrusted { Direction::Narrower } else { Direction::Wider };
                self.set(format!("{at}untrusted = {}", is.untrusted), direction, TRUST);
            }
        }
    }
}

/// Whether a rule looks at an attribute of the context. When in doubt, yes.
fn mentions(form: &Value, attribute: &str) -> bool {
    let conditions = form.get("conditions").map(ToString::to_string).unwrap_or_default();
    let whole = conditions.matches("{\"Var\":\"context\"}").count()
        != conditions.matches("\"left\":{\"Var\":\"context\"}").count();
    whole || conditions.contains(&format!("\"attr\":\"{attribute}\""))
}

/// Whether every host of a pattern is covered by a list.
fn covers_host(list: &[String], pattern: &str) -> bool {
    list.iter().any(|entry| match pattern.strip_prefix("*.") {
        None => hosts::matches_pattern(pattern, entry),
        // Everything below `a.b` is below `b`.
        Some(parent) => entry == pattern || hosts::matches_pattern(parent, entry),
    } && (!pattern.starts_with("*.") || entry.starts_with("*.")))
}

/// Whether every tool of an entry (`name` or `name*`) is covered by a list of them.
fn covers_tool(list: &[String], entry: &str) -> bool {
    let head = entry.strip_suffix('*').unwrap_or(entry);
    list.iter().any(|other| match other.strip_suffix('*') {
        Some(prefix) => head.starts_with(prefix),
        None => other == entry,
    })
}

/// Which way a rule of the same id changed.
fn rule(was: &RuleInfo, is: &RuleInfo) -> Direction {
    let same_form = was.form == is.form;
    if was.permits != is.permits {
        // It also stops doing what it did, but what it does now is the larger matter.
        return if is.permits { Direction::Wider } else { Direction::Narrower };
    }
    if same_form {
        return match (was.ask, is.ask) {
            (true, false) => Direction::Narrower,
            (false, true) => Direction::Wider,
            // Reason or remedy.
            _ => Direction::Neutral,
        };
    }
    // A rule with more conditions applies less often. Which one is ask and which deny must be
    // the same, or the two effects would have to be weighed.
    if was.ask != is.ask || scope(&was.form) != scope(&is.form) {
        return Direction::Unclear;
    }
    let (before, after) = (conditions(&was.form), conditions(&is.form));
    let less = before.iter().all(|c| after.contains(c));
    let more = after.iter().all(|c| before.contains(c));
    match (less, more, was.permits) {
        (true, true, _) => Direction::Neutral,
        (true, false, true) | (false, true, false) => Direction::Narrower,
        (true, false, false) | (false, true, true) => Direction::Wider,
        (false, false, _) => Direction::Unclear,
    }
}

fn scope(form: &Value) -> [Option<&Value>; 3] {
    [form.get("principal"), form.get("action"), form.get("resource")]
}

fn conditions(form: &Value) -> &[Value] {
    form.get("conditions").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Which way a sequence of the same id changed.
fn sequence(was: &Sequence, is: &Sequence) -> Direction {
    let Sequence {
        id: _,
        reason: _,
        remedy: _,
        decision,
        within_seconds,
        forgotten_on,
        step,
        unless,
    } = was;
    if *step != is.step {
        return Direction::Unclear;
    }
    let mut found = Vec::new();
    match (decision, is.decision) {
        (Then::Ask, Then::Deny) => found.push(Direction::Narrower),
        (Then::Deny, Then::Ask) => found.push(Direction::Wider),
        _ => {}
    }
    // A longer window is met more often.
    match within_seconds.cmp(&is.within_seconds) {
        std::cmp::Ordering::Less => found.push(Direction::Narrower),
        std::cmp::Ordering::Greater => found.push(Direction::Wider),
        std::cmp::Ordering::Equal => {}
    }
    if forgotten_on.iter().any(|f| !is.forgotten_on.contains(f)) {
        found.push(Direction::Narrower);
    }
    if is.forgotten_on.iter().any(|f| !forgotten_on.contains(f)) {
        found.push(Direction::Wider);
    }
    match (unless, &is.unless) {
        (None, Some(_)) => found.push(Direction::Wider),
        (Some(_), None) => found.push(Direction::Narrower),
        (Some(a), Some(b)) if a != b => found.push(Direction::Unclear),
        _ => {}
    }
    found.into_iter().max().unwrap_or(Direction::Neutral)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::PolicyFile;

    fn bundle(files: &[(&str, &str)]) -> Bundle {
        let files: Vec<PolicyFile> = files
            .iter()
            .map(|(name, text)| PolicyFile { name: (*name).into(), text: (*text).into() })
            .collect();
        Bundle::load(&files).unwrap_or_else(|e| panic!("{e:?}"))
    }

    fn toml(text: &str) -> Bundle {
        bundle(&[("p.toml", text)])
    }

    fn cedar(text: &str) -> Bundle {
        bundle(&[("p.cedar", text)])
    }

    #[track_caller]
    fn check(old: &Bundle, new: &Bundle, there: Direction, back: Direction) {
        let worst = |a, b| {
            let changes = compare(a, b);
            assert!(!changes.is_empty());
            changes.iter().map(|c| c.direction).max().unwrap()
        };
        assert_eq!(worst(old, new), there, "{:?}", compare(old, new));
        assert_eq!(worst(new, old), back, "{:?}", compare(new, old));
    }

    use Direction::{Narrower, Neutral, Unclear, Wider};

    #[test]
    fn the_same_policy_has_no_changes() {
        assert_eq!(compare(&toml(""), &toml("[policy]\n")), []);
        assert!(!asks(&[]));
    }

    #[test]
    fn every_setting_has_a_direction() {
        for (text, there, back) in [
            ("base = \"owner\"", Wider, Narrower),
            ("listed_hosts = [\"a.example.com\"]", Wider, Narrower),
            ("private_hosts = [\"a.example.com\"]", Wider, Narrower),
            ("private_sinks = [\"a.example.com\"]", Wider, Narrower),
            ("listed_senders = [\"telegram:1\"]", Wider, Narrower),
            ("listed_recipients = [\"ann\"]", Wider, Narrower),
            ("owner = [\"me@example.com\"]", Wider, Narrower),
            ("read_folders = [\"/srv/a\"]", Wider, Narrower),
            ("write_folders = [\"/srv/a\"]", Wider, Narrower),
            ("tools_deny = [\"exec\"]", Narrower, Wider),
            ("tools_allow = [\"exec\"]", Narrower, Wider),
            ("ask_seconds = 60", Neutral, Neutral),
            ("permit_seconds = 61", Wider, Narrower),
            ("budget.calls_per_hour = 10", Narrower, Wider),
            ("budget.spawns_per_hour = 50", Wider, Narrower),
            ("budget.sends_per_hour = 1", Narrower, Wider),
            ("budget.outbound_bytes_per_hour = 1", Narrower, Wider),
            ("budget.model_calls_per_hour = 1", Narrower, Wider),
            ("agent_budget.calls_per_hour = 10", Narrower, Wider),
            ("sender_budget.sends_per_hour = 1", Narrower, Wider),
            ("override = [{ agent = \"a\", untrusted = true }]", Narrower, Wider),
            ("override = [{ agent = \"a\", tools_deny = [\"exec\"] }]", Narrower, Wider),
            ("override = [{ agent = \"a\", tools_allow = [\"exec\"] }]", Narrower, Wider),
            ("override = [{ agent = \"a\", listed_hosts = [\"b.example.com\"] }]", Wider, Narrower),
        ] {
            check(&toml(""), &toml(&format!("[policy]\n{text}\n")), there, back);
        }
    }

    #[test]
    fn what_is_covered_already_changes_nothing() {
        let old = toml(
            "[policy]\nlisted_hosts = [\"*.example.com\"]\nread_folders = [\"/srv\"]\ntools_deny = [\"cr*\"]\n",
        );
        let new = toml(
            "[policy]\nlisted_hosts = [\"*.example.com\", \"a.example.com\", \"*.b.example.com\"]\n\
             read_folders = [\"/srv\", \"/srv/a\"]\ntools_deny = [\"cr*\"]\n",
        );
        check(&old, &new, Neutral, Neutral);
        // The name itself is not below itself, and a name covers nothing below it.
        assert!(!covers_host(&["*.example.com".into()], "example.com"));
        assert!(!covers_host(&["example.com".into()], "*.example.com"));
        assert!(!covers_host(&["a.example.com".into()], "*.example.com"));
        assert!(covers_tool(&["cr*".into()], "cron*"));
        assert!(!covers_tool(&["cron".into()], "cron*"));
    }

    #[test]
    fn a_folder_to_read_inside_one_to_write_keeps_it_from_being_written() {
        let old = toml("[policy]\nwrite_folders = [\"/srv\"]\nread_folders = [\"/srv/a\"]\n");
        let new = toml("[policy]\nwrite_folders = [\"/srv\"]\n");
        check(&old, &new, Wider, Wider);
        let inner = toml(
            "[policy]\nwrite_folders = [\"/srv\", \"/srv/a/b\"]\nread_folders = [\"/srv/a\"]\n",
        );
        check(&old, &inner, Wider, Narrower);
    }

    const FORBID: &str = "@id(\"x\") @reason(\"r\") forbid (principal, action, resource)";

    #[test]
    fn rules_have_a_direction() {
        let none = toml("");
        check(&none, &cedar(&format!("{FORBID};")), Narrower, Wider);
        check(&none, &cedar("@id(\"x\") permit (principal, action, resource);"), Wider, Narrower);
        let ask = cedar(&format!("@ask(\"true\") {FORBID};"));
        check(&ask, &cedar(&format!("{FORBID};")), Narrower, Wider);
        // A rule that takes the place of another: one comes, one goes.
        let replaced = cedar(&format!("@replaces(\"flow.secret\") {FORBID};"));
        check(&none, &replaced, Wider, Wider);
        let when = cedar(&format!("{FORBID} when {{ context.outside }};"));
        check(&when, &cedar(&format!("{FORBID};")), Narrower, Wider);
        let both =
            cedar(&format!("{FORBID} when {{ context.outside }} unless {{ context.sends }};"));
        check(&when, &both, Wider, Narrower);
        let other = cedar(&format!("{FORBID} when {{ context.sends }};"));
        check(&when, &other, Unclear, Unclear);
        let text = cedar(&format!("@remedy(\"m\") {FORBID};"));
        check(&cedar(&format!("{FORBID};")), &text, Neutral, Neutral);
    }

    #[test]
    fn a_setting_that_an_own_rule_looks_at_is_unclear() {
        let rule = format!("{FORBID} when {{ context.host_class == \"listed\" }};");
        let with = |toml: &str| bundle(&[("p.cedar", &rule), ("p.toml", toml)]);
        let listed = with("[policy]\nlisted_hosts = [\"a.example.com\"]\n");
        // Taking the host off the list would allow what the rule forbids.
        check(&listed, &with(""), Unclear, Unclear);
        let denied = with("[policy]\ntools_deny = [\"exec\"]\n");
        check(&with(""), &denied, Narrower, Wider);
    }

    #[test]
    fn exceptions_in_another_order_are_unclear() {
        let one = "{ agent = \"a\", untrusted = true }";
        let two = "{ channel = \"c\", tools_deny = [\"exec\"] }";
        let old = toml(&format!("[policy]\noverride = [{one}, {two}]\n"));
        let new = toml(&format!("[policy]\noverride = [{two}, {one}]\n"));
        check(&old, &new, Unclear, Unclear);
        check(&toml(&format!("[policy]\noverride = [{one}]\n")), &old, Narrower, Wider);
    }

    #[test]
    fn sequences_and_tools_have_a_direction() {
        let sequence = |id: &str, more: &str| {
            toml(&format!(
                "[[sequence]]\nid = \"{id}\"\nreason = \"r\"\nremedy = \"m\"\nwithin_seconds = 60\n{more}\n\
                 [[sequence.step]]\ndoes = [\"read\"]\n[[sequence.step]]\ndoes = [\"send\"]\n"
            ))
        };
        let ask = sequence("a", "decision = \"ask\"");
        check(&toml(""), &ask, Narrower, Wider);
        check(&ask, &sequence("a", "decision = \"deny\""), Narrower, Wider);
        let forgets = sequence("a", "decision = \"ask\"\nforgotten_on = [\"words\"]");
        check(&ask, &forgets, Wider, Narrower);
        let mixed = sequence("a", "decision = \"deny\"\nforgotten_on = [\"words\"]");
        check(&ask, &mixed, Wider, Wider);
        let tool = toml("[[tool]]\nname = \"crm__x\"\ndoes = [\"read\"]\n");
        check(&toml(""), &tool, Unclear, Unclear);
    }
}
