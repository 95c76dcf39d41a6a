//! What the gateway's hooks tell, and how sessions stand to each other: whose words a turn has, who
//! made whom, and who may have written to whom.

use super::*;

impl Engine {
    /// Takes an observation in. Returns the event that it is worth.
    pub(crate) fn observe(
        &self,
        hook: &str,
        origin: &Origin,
        data: &Value,
        now_ms: u64,
    ) -> Option<Event> {
        let origin = self.placed(origin);
        let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut table = lock(&self.table);
        match hook {
            "message_received" | "before_agent_run" => {
                let content =
                    if hook == "message_received" { text("content") } else { text("prompt") };
                let mut origin = origin;
                if hook == "before_agent_run"
                    && let Some(owner) = data.get("senderIsOwner").and_then(Value::as_bool)
                {
                    origin.requester.get_or_insert_default().sender_is_owner.get_or_insert(owner);
                }
                if hook == "message_received" {
                    table.heard.add(Some(&origin.session_key), content, now_ms);
                }
                if hook == "message_received" && origin.requester.is_none() {
                    // Who may speak as the owner is told with the run; until then the message is
                    // taken in by `before_agent_run`, which follows it.
                    return note(hook, &origin, now_ms);
                }
                let key = origin.session_key.clone();
                let mut said = bounded(content).to_owned();
                if SessionKind::of(&key) == SessionKind::Group {
                    // What others said before is put beside the message that starts the turn, and
                    // no hook tells of it.
                    let others = Label::new(Integrity::Outside, Confidentiality::Internal);
                    self.session(&mut table, &key).state.see(&others.with("group"), "group");
                }
                if hook == "before_agent_run" {
                    let told = self.told_by_another(&mut table, &key);
                    let turn = table.heard.take(&key, &said, now_ms);
                    // A child's task and a client of the HTTP endpoints are heard nowhere else; but
                    // for these, what nobody was heard to say is nobody's words.
                    let unheard = told.is_some() || !written_for(&key);
                    if let Some(label) = told.filter(|_| !turn.rest.is_empty()) {
                        // The gateway delivers what one session writes to another as its owner's.
                        let seen = Observation::Outside {
                            category: "another session".into(),
                            text: bounded(&turn.rest).to_owned(),
                            label: Some(label),
                        };
                        let session = self.session(&mut table, &key);
                        seawall_policy::observe(&self.bundle, &mut session.state, &seen, now_ms);
                    }
                    if !turn.words.is_empty() {
                        said = turn.words.join("\n");
                    } else if unheard {
                        self.keep(&mut table, &key, now_ms);
                        return note(hook, &origin, now_ms);
                    }
                }
                let conversation = data
                    .get("conversationId")
                    .or_else(|| data.pointer("/metadata/conversationId"))
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                let session = self.session(&mut table, &key);
                session.spoke.clone_from(&origin.requester);
                let seen = Observation::Words { origin: origin.clone(), text: said, conversation };
                seawall_policy::observe(&self.bundle, &mut session.state, &seen, now_ms);
                self.keep(&mut table, &key, now_ms);
                note(hook, &origin, now_ms)
            }
            "subagent_spawned" => {
                let child = text("childSessionKey").to_owned();
                let parent = data
                    .get("requesterSessionKey")
                    .and_then(Value::as_str)
                    .filter(|key| !key.is_empty())
                    .unwrap_or(&origin.session_key)
                    .to_owned();
                if !child.is_empty() && child != parent {
                    // Its result comes back as a message of the parent.
                    remember(table.kept.pair(&child, &parent));
                    self.inherit(&mut table, &child, &parent, &origin, now_ms);
                    self.keep(&mut table, &child, now_ms);
                }
                note(hook, &origin, now_ms)
            }
            "subagent_ended" => {
                // Its result comes back as a message of the parent: what the child had seen counts
                // for the parent from now on.
                let child = data
                    .get("targetSessionKey")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned();
                let label =
                    table.sessions.get(&child).and_then(|session| session.state.label.clone());
                let parent = data
                    .get("requesterSessionKey")
                    .and_then(Value::as_str)
                    .filter(|key| !key.is_empty())
                    .unwrap_or(&origin.session_key)
                    .to_owned();
                if let Some(label) = label
                    && parent != child
                {
                    let session = self.session(&mut table, &parent);
                    session.state.see(&label, "sub-agent");
                    self.keep(&mut table, &parent, now_ms);
                }
                note(hook, &origin, now_ms)
            }
            "cron_changed" => {
                let job = text("jobId").to_owned();
                table
                    .scheduling
                    .retain(|(_, _, at)| at.saturating_add(SCHEDULE_WITHIN_MS) > now_ms);
                // Which of the calls it was is not told: all of them count.
                let makers = table.scheduling.iter().map(|(_, lineage, _)| lineage.clone());
                let made_by = makers.reduce(Lineage::join);
                match text("action") {
                    "added" if !job.is_empty() => {
                        // Without a session that was just allowed to schedule, it came through the
                        // door, where only the operator adds jobs.
                        let lineage = made_by.unwrap_or_else(|| Lineage {
                            trust: Some(Trust::Owner),
                            ..Lineage::default()
                        });
                        remember(table.kept.set_job(&job, Some(&lineage)));
                    }
                    // Its text may be another now. A change through the door is the operator's.
                    "updated" if !job.is_empty() => {
                        if let Some(by) = made_by {
                            let before = table.kept.job(&job).unwrap_or_else(|why| {
                                tracing::error!(error = %why, "who made a job cannot be read");
                                Some(Lineage::default())
                            });
                            let lineage =
                                before.map_or_else(|| by.clone(), |old| old.join(by.clone()));
                            remember(table.kept.set_job(&job, Some(&lineage)));
                        }
                    }
                    "removed" => remember(table.kept.set_job(&job, None)),
                    _ => {}
                }
                note(hook, &origin, now_ms)
            }
            "before_reset" => {
                let key = origin.session_key.clone();
                let session = self.session(&mut table, &key);
                seawall_policy::observe(
                    &self.bundle,
                    &mut session.state,
                    &Observation::Reset,
                    now_ms,
                );
                note(hook, &origin, now_ms)
            }
            "model_call_ended" => {
                let key = origin.session_key.clone();
                let mut shared = table.budgets.lend(&origin);
                shared.agent.model_called(now_ms);
                if let Some(sender) = &mut shared.sender {
                    sender.model_called(now_ms);
                }
                let table = &mut *table;
                table.budgets.take_back(&origin, shared, &table.kept, now_ms);
                self.session(table, &key).state.counters.model_called(now_ms);
                None
            }
            "gateway_start"
            | "gateway_stop"
            | "session_start"
            | "session_end"
            | "channel_pairing_requested"
            | "before_install"
            | "skill_changed"
            | "skill_proposal_changed" => note(hook, &origin, now_ms),
            _ => None,
        }
    }

    /// Somebody said this to an agent, through the door.
    pub(crate) fn heard(&self, session: Option<&str>, text: &str, now_ms: u64) {
        lock(&self.table).heard.add(session, text, now_ms);
    }

    /// Remembers that an allowed call writes to another session, whose answer comes back the same
    /// way; what the writer has seen, the other has seen from now on.
    pub(super) fn wrote(&self, table: &mut Table, verdict: &Verdict, action: &Action, now_ms: u64) {
        let from = action.origin.session_key.as_str();
        // The gateway goes by one of several names, and which one is its business.
        let several =
            matches!(&action.kind, ActionKind::ToolCall(call) if selectors(&call.params, 0) > 1);
        let targets: Vec<String> = verdict
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Session { op, target } if op == "send" => Some(target.clone()),
                _ => None,
            })
            .collect();
        for target in targets {
            // Anything else than a whole key may mean any session.
            let whole = !several && target.starts_with("agent:");
            let to = if whole { target.as_str() } else { ANYBODY };
            if to == from {
                continue;
            }
            self.wrote_to(table, from, to, now_ms);
        }
    }

    /// One session writes to another: what it has seen, the other has seen from now on.
    pub(super) fn wrote_to(&self, table: &mut Table, from: &str, to: &str, now_ms: u64) {
        remember(table.kept.pair(from, to));
        if to == ANYBODY {
            return;
        }
        let state = &self.session(table, from).state;
        let label = state.is_outside().then(|| state.label.clone()).flatten();
        if let Some(label) = label {
            self.session(table, to).state.see(&label, "another session");
            self.keep(table, to, now_ms);
        }
    }

    /// What a session may have been told by others that have seen something from outside, or that
    /// it has told itself.
    pub(super) fn told_by_another(&self, table: &mut Table, key: &str) -> Option<Label> {
        let partners = match table.kept.partners(key) {
            Ok(partners) => partners,
            Err(why) => {
                tracing::error!(error = %why, "which sessions write to each other cannot be read");
                vec![ANYBODY.to_owned()]
            }
        };
        let mut label: Option<Label> = None;
        for partner in partners {
            let theirs = if partner == ANYBODY {
                Some(Label::new(Integrity::Outside, Confidentiality::Internal))
            } else {
                let state = &self.session(table, &partner).state;
                state.is_outside().then(|| state.label.clone()).flatten()
            };
            if let Some(theirs) = theirs {
                label = Some(label.map_or_else(|| theirs.clone(), |label| label.join(&theirs)));
            }
        }
        label
    }

    pub(super) fn inherit(
        &self,
        table: &mut Table,
        child: &str,
        parent: &str,
        origin: &Origin,
        now_ms: u64,
    ) {
        let lineage = table.spawned_by(parent, now_ms).unwrap_or_else(|| {
            let maker = Origin { session_key: parent.to_owned(), ..origin.clone() };
            self.session(table, parent).state.lineage(&self.bundle, &maker)
        });
        let child = self.session(table, child);
        let inherited = SessionState::inherit(lineage);
        child.state.lineage = inherited.lineage;
        child.state.words = inherited.words;
        child.state.makers = inherited.makers;
        if let Some(label) = inherited.label {
            child.state.see(&label, "parent session");
        }
    }
}

/// The sessions that parameters name by their keys. Sixteen of them, four deep: more than any tool
/// of OpenClaw takes.
pub(super) fn sessions_in<'p>(params: &'p Value, depth: usize, found: &mut Vec<&'p str>) {
    match params {
        Value::String(text) if text.starts_with("agent:") && found.len() < 16 => found.push(text),
        Value::Array(items) if depth < 4 => {
            items.iter().for_each(|item| sessions_in(item, depth + 1, found));
        }
        Value::Object(fields) if depth < 4 => {
            fields.values().for_each(|field| sessions_in(field, depth + 1, found));
        }
        _ => {}
    }
}

/// How many names of another session parameters give.
pub(super) fn selectors(params: &Value, depth: usize) -> usize {
    let Value::Object(fields) = params else { return 0 };
    let named = ["sessionKey", "label", "agentId"]
        .iter()
        .filter(|name| fields.get(**name).and_then(Value::as_str).is_some_and(|v| !v.is_empty()))
        .count();
    // Below an envelope's own parameters.
    let below = fields.values().filter(|_| depth < 2).map(|field| selectors(field, depth + 1));
    named + below.sum::<usize>()
}

/// The sessions that an answer of OpenClaw's session tools names by their keys, sixteen of them.
pub(super) fn named_in(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '\\');
    text.split(ends).filter(|word| word.starts_with("agent:")).take(16)
}

/// The job of `agent:ID:cron:JOB:…`.
pub(super) fn job_of(key: &str) -> Option<&str> {
    key.split(':').nth(3)
}

/// Whether the turns of a session are written for it and not said to it: a child's task, a job's
/// text, a webhook's body, the request of a client of the HTTP endpoints (`agent:ID:openai:…`).
pub(super) fn written_for(key: &str) -> bool {
    match SessionKind::of(key) {
        SessionKind::Subagent | SessionKind::Cron | SessionKind::Hook => true,
        SessionKind::Main => key.split(':').nth(2).is_some_and(|part| {
            matches!(part, "openai" | "openai-user" | "openresponses" | "openresponses-user")
        }),
        SessionKind::Group | SessionKind::Other => false,
    }
}

pub(super) fn note(hook: &str, origin: &Origin, now_ms: u64) -> Option<Event> {
    let severity =
        if hook == "channel_pairing_requested" { Severity::Medium } else { Severity::Info };
    let mut event =
        Event::new(now_ms, Plane::Hook, format!("observed.{hook}"), hook.replace('_', " "))
            .severity(severity);
    event.session_key = Some(origin.session_key.clone()).filter(|key| !key.is_empty());
    event.agent_id = Some(origin.agent_id.clone()).filter(|id| !id.is_empty());
    Some(event)
}
