//! The OpenClaw deployment that is to be guarded: where it is and what its configuration says.

mod config;
mod discover;
mod links;
mod runtime;

pub(crate) use config::{LoadedConfig, collect_env, load};
pub(crate) use discover::{Deployment, Wanted, expand};
pub(crate) use runtime::Runtime;
