//! The OpenClaw deployment that is to be guarded: where it is and what its configuration says.

mod config;
#[cfg(test)]
mod differential;
mod discover;
mod links;
mod runtime;

pub(crate) use config::{ConfigError, LoadedConfig, collect_env, load, open_file, read_text};
pub(crate) use discover::{Deployment, Wanted, expand};
pub(crate) use links::on_the_way;
pub(crate) use runtime::Runtime;
