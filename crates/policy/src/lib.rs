//! Seawall's decision engine: what an action would cause, and whether it may.
//!
//! [`decide`] is a pure function of the [`Bundle`], the [`SessionState`] and the action: no clock,
//! file, socket or environment is inside, and the one lock (around answers of rules that were
//! given before) changes speed alone. The daemon feeds what it observes into the state
//! ([`observe`]), takes decisions into it ([`commit`]), keeps it and persists it.
//!
//! ```
//! use seawall_policy::{Bundle, SessionState, decide};
//! use seawall_model::{Action, ActionKind, Decision, Origin, ToolCall};
//!
//! let action = Action {
//!     call_id: "1".into(),
//!     origin: Origin { agent_id: "main".into(), session_key: "agent:main:main".into(), ..Origin::default() },
//!     kind: ActionKind::ToolCall(ToolCall {
//!         tool: "exec".into(),
//!         params: serde_json::json!({"command": "ls"}),
//!         derived_paths: vec![],
//!     }),
//! };
//! // Nobody vouches for this session.
//! let verdict = decide(&Bundle::baseline(), &SessionState::default(), &action, 0);
//! assert_eq!(verdict.decision, Decision::Deny);
//! ```
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_types))]

pub mod approvals;
pub mod budget;
pub mod bundle;
pub mod call;
pub mod catalogue;
pub mod compare;
pub mod decide;
pub mod digest;
pub mod facts;
pub mod hosts;
pub mod infer;
pub mod influence;
pub mod observe;
pub mod paths;
pub mod provenance;
pub mod rules;
pub mod sequence;
pub mod session;
pub mod settings;
pub mod shell;
pub mod trace;
pub mod trust;
pub mod whatif;
pub mod words;

pub use bundle::{Bundle, Deployment, PolicyFile};
pub use decide::{Decided, commit, decide, decide_fully};
pub use observe::{Observation, observe};
pub use paths::Places;
pub use rules::LoadError;
pub use session::{Lineage, SessionState};
pub use settings::Settings;
pub use trust::Trust;
