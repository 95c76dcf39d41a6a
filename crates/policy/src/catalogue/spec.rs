//! What a tool is, as data: its verbs, the role of each parameter, and what its results are.

use seawall_model::label::{Confidentiality, Integrity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a tool does with the world. One call can do several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Looks at the agent's own state; changes and reveals nothing of interest.
    Inspect,
    /// Lists names and metadata.
    List,
    /// Reads content.
    Read,
    /// Writes files.
    Write,
    /// Removes files.
    Delete,
    /// Fetches a URL.
    Fetch,
    /// Asks a search service.
    Search,
    /// Puts data at a URL.
    Post,
    /// Sends to somebody.
    Send,
    /// Answers in the conversation that is going on.
    Reply,
    /// Reads what earlier sessions stored.
    MemoryRead,
    /// Writes what later sessions read as their own memory or goals.
    MemoryWrite,
    /// Changes configuration, credentials or access of the deployment.
    Config,
    /// Installs or plants code that is loaded later.
    Install,
    /// Arranges that something runs later.
    Schedule,
    /// Starts another session or agent.
    Spawn,
    /// Steers another session.
    SessionSend,
    /// Reads another session.
    SessionRead,
    /// Stops or removes another session.
    SessionStop,
    /// Drives a browser.
    Browser,
    /// Drives a screen, keyboard and mouse.
    Computer,
    /// Drives a paired device.
    Node,
    /// Runs program text.
    Run,
    /// Types into a program that runs.
    Type,
    /// Opens a way in from the network.
    Listen,
    /// Moves money or buys.
    Pay,
    /// Gives somebody access: shares, invites, adds members, sets permissions.
    Grant,
    /// Takes access away.
    Revoke,
    /// Creates an object in a service.
    Create,
    /// Changes an object in a service.
    Change,
    /// Removes an object in a service.
    Remove,
    /// Shows something in the agent's own interface.
    Present,
    /// Asks the person behind the session.
    AskUser,
    /// Has a model make text, speech or pictures.
    Generate,
    /// Calls another tool, which is judged itself.
    Call,
    /// Not known.
    Unknown,
}

impl Verb {
    /// Whether the verb changes something that others can see or that outlives the session.
    #[must_use]
    pub fn consequential(self) -> bool {
        !matches!(
            self,
            Self::Inspect
                | Self::List
                | Self::Read
                | Self::Search
                | Self::Fetch
                | Self::MemoryRead
                | Self::SessionRead
                | Self::Present
                | Self::AskUser
                | Self::Generate
                | Self::Call
                | Self::Reply
        )
    }

    /// The verb in words, for reasons.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Inspect => "look at its own state",
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write files",
            Self::Delete => "delete files",
            Self::Fetch => "fetch a page",
            Self::Search => "search",
            Self::Post => "post to a site",
            Self::Send => "send a message",
            Self::Reply => "answer",
            Self::MemoryRead => "read memory",
            Self::MemoryWrite => "write memory",
            Self::Config => "change configuration",
            Self::Install => "install code",
            Self::Schedule => "schedule something",
            Self::Spawn => "start a session",
            Self::SessionSend => "steer another session",
            Self::SessionRead => "read another session",
            Self::SessionStop => "stop another session",
            Self::Browser => "drive the browser",
            Self::Computer => "drive the computer",
            Self::Node => "drive a device",
            Self::Run => "run a program",
            Self::Type => "type into a program",
            Self::Listen => "open a port",
            Self::Pay => "pay",
            Self::Grant => "give access",
            Self::Revoke => "take access away",
            Self::Create => "create something",
            Self::Change => "change something",
            Self::Remove => "remove something",
            Self::Present => "show something",
            Self::AskUser => "ask the user",
            Self::Generate => "generate media",
            Self::Call => "call a tool",
            Self::Unknown => "do something that is not known",
        }
    }
}

/// What a parameter means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A number, switch, mode or limit without consequence of its own.
    Setting,
    /// Content that the tool carries on: text, bytes, trees.
    Text,
    /// A question to a search.
    Query,
    /// A URL, or a host.
    Url,
    /// A path (or URL) that is read.
    ReadPath,
    /// A path that is written.
    WritePath,
    /// A path that is listed.
    ListPath,
    /// A patch that names the files it changes.
    Patch,
    /// Somebody or some place that receives.
    Recipient,
    /// The service or channel over which is sent.
    Channel,
    /// An object acted on, by id or name.
    Object,
    /// A session or agent.
    Session,
    /// A paired device.
    Device,
    /// Shell text.
    Command,
    /// An argument vector.
    Argv,
    /// Program text of another language.
    Code,
    /// Name of a model, voice or provider.
    Model,
    /// Amount of money.
    Amount,
    /// Must be absent: it would point the call at another gateway or host.
    Forbidden,
    /// Name of the tool of a nested call.
    CallId,
    /// Arguments of a nested call.
    CallArgs,
    /// Start or end of something, a place, a date: descriptive.
    Fact,
}

/// What the results of a tool are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Yields {
    /// How far results may be believed.
    pub integrity: Integrity,
    /// How far they may travel.
    pub confidentiality: Confidentiality,
    /// Category that explains the label.
    pub category: String,
    /// Whether the fields of results are kept by a service that the owner trusts to say who is
    /// who (contacts, members, channels). Prose inside is still outside content.
    pub directory: bool,
}

impl Default for Yields {
    fn default() -> Self {
        Self {
            integrity: Integrity::Outside,
            confidentiality: Confidentiality::Internal,
            category: String::new(),
            directory: false,
        }
    }
}

impl Yields {
    /// Results that hold nothing but the guard's or gateway's own words.
    #[must_use]
    pub fn own() -> Self {
        Self {
            integrity: Integrity::Workspace,
            confidentiality: Confidentiality::Internal,
            category: String::new(),
            directory: false,
        }
    }
}

/// How a tool came to be known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// Built in.
    Catalogue,
    /// Declared by the operator.
    Declared,
    /// Inferred from name, description and schema.
    Inferred,
    /// Not at all.
    #[default]
    Not,
}

/// One tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSpec {
    /// Canonical name.
    pub name: String,
    /// The parameter that selects the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Verbs of every call, or of calls without an operation.
    #[serde(default)]
    pub does: Vec<Verb>,
    /// Verbs by operation. An operation that is not listed is unknown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ops: BTreeMap<String, Vec<Verb>>,
    /// Roles by parameter; nested ones are dotted, lists are transparent. A role on an inner
    /// node holds for everything below it.
    #[serde(default)]
    pub params: BTreeMap<String, Role>,
    /// What its results are.
    #[serde(default)]
    pub yields: Yields,
    /// How it came to be known.
    #[serde(skip)]
    pub known: Known,
}
