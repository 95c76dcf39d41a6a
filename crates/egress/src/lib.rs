//! Seawall's forward proxy: the only way out.
//!
//! Every destination is refused unless a rule allows it for the identity that asks. Name and
//! port are judged before anything is looked up; every address of the one look-up is judged, and
//! one of those is dialled; the event is on disk before a byte goes out.
//!
//! Pure, functions of values: [`address`], [`budget`], [`host`], [`identity`], [`rule`], [`policy`],
//! [`refusal`], [`replace`], [`names`], [`rhythm`], [`throttle`], [`websocket`], [`head`], [`chunked`], [`hello`], [`socks`], [`scan`], [`explain`], [`learn`]. Edges: [`secret`],
//! [`resolve`], [`intercept`], [`proxy`], [`journal`].

pub mod address;
pub mod budget;
pub mod chunked;
mod connection;
pub mod enforce;
mod exchange;
pub mod explain;
pub mod head;
pub mod hello;
pub mod host;
pub mod identity;
pub mod intercept;
pub mod journal;
pub mod learn;
pub mod names;
pub mod policy;
pub mod proxy;
mod record;
pub mod refusal;
pub mod replace;
pub mod resolve;
pub mod rhythm;
pub mod rule;
pub mod scan;
pub mod secret;
pub mod socks;
pub mod throttle;
mod transport;
pub mod websocket;
mod wire;

pub use identity::{Identity, Zone};
pub use journal::{Flush, Journal};
pub use policy::{EgressPolicy, PolicyError};
pub use proxy::{Gate, Proxy, Sessions};
pub use refusal::{Cause, Refusal};
pub use resolve::{Answer, NoResolver, Resolve, StaticResolver, SystemResolver};
