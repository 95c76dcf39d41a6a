//! Seawall's decision engine: what an action would cause, and whether it may.

pub mod shell;
