//! Seawall's confinement: plan, then apply.
//!
//! A planner ([`plan`]) turns what the operator configured into a [`JailSpec`], a value that says
//! exactly what a program will see and may do. [`Jail::spawn`] applies it: user, mount, pid,
//! network, ipc, uts and cgroup namespaces, a file system of its own, Landlock and seccomp, and
//! resource limits. The binary calls [`early_main`] first, because a jail's own processes are
//! started from it.
//!
//! This is the only crate of Seawall with `unsafe`.

pub mod attempt;
pub mod launch;
pub mod learn;
pub mod plan;
pub mod probe;
pub mod seccomp;
pub mod spec;

mod apart;
mod factory;
mod holds;
mod jail;
mod own;
mod stage;
mod sys;
mod sys_trace;
mod wire;

pub use apart::{apart, harden};
pub use factory::SocketFactory;
pub use jail::{Jail, JailError, JailIo};
pub use own::{Own, restrict};
pub use probe::{Mechanism, probe};
pub use spec::{JailSpec, SpecError};
pub use stage::early_main;
pub use wire::{Exit, Facts, Refusal, StageError};
