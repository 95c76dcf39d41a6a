//! Checks of a deployment. Empty: Seawall does not audit yet.

pub mod harden;
