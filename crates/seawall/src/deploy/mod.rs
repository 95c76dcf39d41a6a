//! The OpenClaw deployment that is to be guarded: where it is and what its configuration says.

mod config;
mod discover;
mod runtime;

pub(crate) use config::{LoadedConfig, load};
pub(crate) use discover::{Deployment, Wanted, expand};
pub(crate) use runtime::Runtime;
