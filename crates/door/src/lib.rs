//! The only way in to the gateway: an authenticating reverse proxy that understands the gateway's
//! WebSocket protocol.
//!
//! A client shows one of the door's own tokens. The door refuses what its tables
//! (`content/door/*.toml`) do not allow that token, and hands everything else to the gateway as a
//! trusted proxy would: with an identity of the door's making and without any header, credential
//! or device key of the client's. What the gateway parses is what was judged: each frame is sent on
//! as the door serialised it, never as the client wrote it.
//!
//! The judging is pure ([`Table`], [`judge`], [`frame`], [`Limiter`], [`DoorTokens`]); only
//! [`Door`] has sockets and a clock.

pub mod config;
pub mod door;
pub mod frame;
pub mod gateway;
pub mod grant;
pub mod judge;
pub mod limit;
pub mod origin;
pub mod routes;
pub mod table;
pub mod token;

mod http1;
mod place;
mod record;
mod upstream;
mod ws;

pub use config::{ConfigError, DoorConfig};
pub use door::{BoxFuture, Connect, Door};
pub use gateway::gateway_config;
pub use grant::{Grant, GrantError, Grants};
pub use judge::{Judgement, judge};
pub use limit::Limiter;
pub use table::{Class, Table, TableError};
pub use token::{DoorTokens, Principal, Role, TokenError, TokenInfo};
