//! A bundle: settings, rules and tool declarations, validated as a whole and swapped as a whole.

use crate::catalogue::{self, Catalogue, Known, ToolSpec};
use crate::facts::Facts;
use crate::rules::{LoadError, Rules, Source, position};
use crate::sequence::{self, Sequence, Sequences};
use crate::session::SessionState;
use crate::settings::{Base, Override, Settings};
use crate::trust::{self, Trust};
use seawall_model::Origin;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

const BASELINE: &str = include_str!("../../../content/policy/cedar/baseline.cedar");
const OWNER: &str = include_str!("../../../content/policy/cedar/owner.cedar");

/// Whether a text is one of the shipped rules; a name alone says nothing.
pub(crate) fn is_shipped(text: &str) -> bool {
    text == BASELINE || text == OWNER
}

/// Largest policy source; the shipped baseline is a tenth of it.
const MAX_SOURCE: usize = 1024 * 1024;

/// A file of the operator's policy. The ending of the name says what it is: `.cedar` for rules,
/// `.toml` for settings (`[policy]`) and tool declarations (`[[tool]]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What a `.toml` source may hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TomlFile {
    policy: Option<Settings>,
    tool: Vec<ToolSpec>,
    sequence: Vec<Sequence>,
    // `seawall.toml` holds the policy beside these, which others read. Given whole, so that an
    // error names the line that the operator sees.
    #[serde(rename = "gateway")]
    _gateway: IgnoredAny,
    #[serde(rename = "guard")]
    _guard: IgnoredAny,
    #[serde(rename = "runs")]
    _runs: IgnoredAny,
    #[serde(rename = "sandbox")]
    _sandbox: IgnoredAny,
    #[serde(rename = "egress")]
    _egress: IgnoredAny,
    #[serde(rename = "door")]
    _door: IgnoredAny,
}

/// What a deployment adds to the operator's files.
#[derive(Debug, Clone, Default)]
pub struct Deployment {
    /// Where things are.
    pub places: crate::paths::Places,
    /// Hosts that may be fetched unasked, besides `policy.listed_hosts`.
    pub listed_hosts: Vec<String>,
}

/// A policy, ready to decide with.
#[derive(Debug, Clone)]
pub struct Bundle {
    settings: Arc<Settings>,
    rules: Arc<Rules>,
    catalogue: Catalogue,
    sequences: Arc<Sequences>,
    version: String,
}

impl Bundle {
    /// The production baseline.
    ///
    /// # Panics
    /// Never: a test loads the shipped texts.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the shipped texts are loaded by a test")]
    pub fn baseline() -> Self {
        Self::load(&[]).expect("the shipped policy loads")
    }

    /// The bundle for a deployment whose only user is its owner.
    ///
    /// # Panics
    /// Never: a test loads the shipped texts.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the shipped texts are loaded by a test")]
    pub fn owner() -> Self {
        let settings = Settings { base: Base::Owner, ..Settings::default() };
        Self::with(settings, &[], Vec::new()).expect("the shipped policy loads")
    }

    /// Loads the operator's files on top of the shipped base.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files; nothing is loaded then.
    pub fn load(files: &[PolicyFile]) -> Result<Self, Vec<LoadError>> {
        Self::load_on(files, &Deployment::default())
    }

    /// Loads the operator's files for a deployment. What the deployment adds counts for
    /// [`Self::version`] as if the operator had written it.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files; nothing is loaded then.
    pub fn load_on(files: &[PolicyFile], deployment: &Deployment) -> Result<Self, Vec<LoadError>> {
        let mut errors = Vec::new();
        let mut settings: Option<Settings> = None;
        let mut tools = Vec::new();
        let mut sequences = Vec::new();
        let mut cedar = Vec::new();
        for file in files {
            let mut fail = |line: usize, col: usize, message: String| {
                errors.push(LoadError { file: file.name.clone(), line, col, message });
            };
            if file.text.len() > MAX_SOURCE {
                fail(0, 0, format!("larger than {MAX_SOURCE} bytes"));
                continue;
            }
            if file.name.ends_with(".cedar") {
                cedar.push(file);
                continue;
            }
            if !file.name.ends_with(".toml") {
                fail(0, 0, "the name must end in .cedar or .toml".to_owned());
                continue;
            }
            match toml::from_str::<TomlFile>(&file.text) {
                Err(e) => {
                    let (line, col) = e.span().map_or((0, 0), |s| position(&file.text, s.start));
                    fail(line, col, e.message().to_owned());
                }
                Ok(parsed) => {
                    for spec in &parsed.tool {
                        for message in declaration_faults(spec) {
                            let at = file.text.find(&format!("\"{}\"", spec.name)).unwrap_or(0);
                            let (line, col) = position(&file.text, at);
                            fail(line, col, message);
                        }
                    }
                    sequences.extend(parsed.sequence.into_iter().map(|s| (file, s)));
                    tools.extend(
                        parsed.tool.into_iter().map(|s| ToolSpec { known: Known::Declared, ..s }),
                    );
                    if let Some(found) = parsed.policy {
                        for (key, message) in found.faults() {
                            let at = file.text.find(key).unwrap_or(0);
                            let (line, col) = position(&file.text, at);
                            fail(line, col, format!("policy.{key}: {message}"));
                        }
                        if settings.is_some() {
                            let at = file.text.find("[policy").unwrap_or(0);
                            let (line, col) = position(&file.text, at);
                            fail(
                                line,
                                col,
                                "there is a [policy] table in another file as well".to_owned(),
                            );
                        }
                        settings = Some(found);
                    }
                }
            }
        }
        let sources: Vec<Source<'_>> =
            cedar.iter().map(|f| Source { name: &f.name, text: &f.text }).collect();
        if let Err(wrong) = Sequences::compile(sequences.iter().map(|(_, s)| s.clone()).collect()) {
            for (id, message) in wrong {
                let file = sequences.iter().find(|(_, s)| s.id == id).map(|(f, _)| *f);
                let (line, col) = file
                    .and_then(|f| f.text.find(&format!("\"{id}\"")).map(|at| position(&f.text, at)))
                    .unwrap_or((0, 0));
                let name = file.map_or("policy", |f| f.name.as_str());
                errors.push(LoadError {
                    file: name.to_owned(),
                    line,
                    col,
                    message: format!("sequence `{id}`: {message}"),
                });
            }
        }
        if !errors.is_empty() {
            // Tell about the rules as well, so that one run shows everything.
            if let Err(more) = Self::with(settings.unwrap_or_default(), &sources, Vec::new()) {
                errors.extend(more);
            }
            return Err(errors);
        }
        let sequences = sequences.into_iter().map(|(_, s)| s).collect();
        let mut settings = settings.unwrap_or_default();
        if deployment.places != crate::paths::Places::default() {
            settings.places = deployment.places.clone();
        }
        settings.listed_hosts.extend(deployment.listed_hosts.iter().cloned());
        Self::assemble(settings, &sources, tools, sequences)
    }

    /// Puts a bundle together from settings that were built in code.
    ///
    /// # Errors
    /// What is wrong with the rules.
    pub fn with(
        settings: Settings,
        cedar: &[Source<'_>],
        tools: Vec<ToolSpec>,
    ) -> Result<Self, Vec<LoadError>> {
        Self::assemble(settings, cedar, tools, Vec::new())
    }

    fn assemble(
        settings: Settings,
        cedar: &[Source<'_>],
        tools: Vec<ToolSpec>,
        more: Vec<Sequence>,
    ) -> Result<Self, Vec<LoadError>> {
        let failed = |message: String| {
            vec![LoadError { file: "sequences.toml".to_owned(), line: 0, col: 0, message }]
        };
        let mut sequences = toml::from_str::<TomlFile>(sequence::SHIPPED)
            .map_err(|e| failed(e.to_string()))?
            .sequence;
        sequences.extend(more);
        let mut sources = vec![Source { name: "baseline.cedar", text: BASELINE }];
        if settings.base == Base::Owner {
            sources.push(Source { name: "owner.cedar", text: OWNER });
        }
        sources.extend_from_slice(cedar);
        let rules = Rules::load(&sources)?;
        let mut hash = Sha256::new();
        for source in &sources {
            hash.update(source.text.len().to_le_bytes());
            hash.update(source.text.as_bytes());
        }
        hash.update(serde_json::to_vec(&settings).unwrap_or_default());
        hash.update(serde_json::to_vec(&tools).unwrap_or_default());
        hash.update(serde_json::to_vec(&sequences).unwrap_or_default());
        hash.update(env!("CARGO_PKG_VERSION").as_bytes());
        let version = hex::encode(hash.finalize()).chars().take(16).collect();
        let mut catalogue = Catalogue::builtin();
        catalogue.extend(tools);
        let sequences = Sequences::compile(sequences)
            .map_err(|e| failed(e.into_iter().map(|(id, m)| format!("`{id}`: {m}; ")).collect()))?;
        Ok(Self {
            settings: Arc::new(settings),
            rules: Arc::new(rules),
            catalogue,
            sequences: Arc::new(sequences),
            version,
        })
    }

    /// The same bundle on a deployment whose folders are known.
    #[must_use]
    pub fn at(mut self, places: crate::paths::Places) -> Self {
        let mut settings = (*self.settings).clone();
        settings.places = places;
        self.settings = Arc::new(settings);
        self
    }

    /// The same bundle with other settings. The base stays; the version does not tell the two
    /// apart, so this serves comparisons, not decisions that run.
    #[must_use]
    pub fn settings_replaced(mut self, settings: Settings) -> Self {
        self.settings = Arc::new(settings);
        self
    }

    /// Settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Tools.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Rules over sequences.
    #[must_use]
    pub fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// Hash over everything that decides, in hex.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Trust of the session behind an origin.
    #[must_use]
    pub fn trust(&self, state: &SessionState, origin: &Origin) -> Trust {
        let trust = trust::of(origin, state.lineage, &self.settings.listed_senders);
        let untrusted = self.exceptions(origin, &state.makers).flatten().any(|o| o.untrusted);
        if untrusted { Trust::Untrusted } else { trust }
    }

    /// The first exception that matches.
    #[must_use]
    pub fn exception(&self, origin: &Origin) -> Option<&Override> {
        let requester = origin.requester.as_ref();
        let channel = requester.and_then(|r| r.channel.as_deref()).unwrap_or_default();
        let sender = requester.and_then(|r| r.sender_id.as_deref()).unwrap_or_default();
        self.settings.overrides.iter().find(|o| {
            o.agent.as_deref().is_none_or(|a| a == origin.agent_id)
                && o.channel.as_deref().is_none_or(|c| c == channel)
                && o.sender.as_deref().is_none_or(|s| s == format!("{channel}:{sender}"))
                && o.session.as_deref().is_none_or(|pattern| match pattern.strip_suffix('*') {
                    Some(head) => origin.session_key.starts_with(head),
                    None => pattern == origin.session_key,
                })
        })
    }

    /// The exception of a session and of each that made it, where there is one: a limit of a
    /// session is a limit of what it starts.
    fn exceptions<'a>(
        &'a self,
        origin: &'a Origin,
        makers: &'a [Origin],
    ) -> impl Iterator<Item = Option<&'a Override>> {
        std::iter::once(origin).chain(makers).map(|origin| self.exception(origin))
    }

    /// Whether the operator took a tool away, from the session or from one that made it.
    #[must_use]
    pub fn tool_denied(&self, tool: &str, origin: &Origin, makers: &[Origin]) -> bool {
        let listed = |list: &[String]| {
            list.iter().any(|entry| match entry.strip_suffix('*') {
                Some(head) => tool.starts_with(head),
                None => entry == tool,
            })
        };
        let s = &self.settings;
        listed(&s.tools_deny)
            || (!s.tools_allow.is_empty() && !listed(&s.tools_allow))
            || self.exceptions(origin, makers).flatten().any(|o| {
                listed(&o.tools_deny) || (!o.tools_allow.is_empty() && !listed(&o.tools_allow))
            })
    }

    /// Hosts that count as listed for an origin. What an exception adds holds for what the session
    /// starts only where it holds for that as well.
    #[must_use]
    pub fn listed_hosts(
        &self,
        origin: &Origin,
        makers: &[Origin],
    ) -> std::borrow::Cow<'_, [String]> {
        let over = self.exception(origin).filter(|o| !o.listed_hosts.is_empty());
        let all = |o: &&Override| {
            self.exceptions(origin, makers).all(|other| other.is_some_and(|other| other == *o))
        };
        match over.filter(all) {
            None => std::borrow::Cow::Borrowed(&self.settings.listed_hosts),
            Some(over) => {
                let mut hosts = self.settings.listed_hosts.clone();
                hosts.extend(over.listed_hosts.iter().cloned());
                std::borrow::Cow::Owned(hosts)
            }
        }
    }

    /// What the rules say about one item.
    #[must_use]
    pub fn evaluate(&self, facts: &Facts, target: &str) -> Arc<crate::rules::Outcome> {
        self.rules.evaluate(facts, target)
    }
}

/// What is wrong with a declaration beyond its form.
fn declaration_faults(spec: &ToolSpec) -> Vec<String> {
    let mut out = Vec::new();
    if spec.does.is_empty() && spec.ops.is_empty() {
        out.push(format!("`{}` declares no verb", spec.name));
    }
    if !spec.ops.is_empty() && spec.by.is_none() {
        out.push(format!("`{}` has operations but no `by`", spec.name));
    }
    if catalogue::Catalogue::builtin().get(&spec.name).is_some() {
        out.push(format!("`{}` is one of OpenClaw's own tools", spec.name));
    }
    out
}
