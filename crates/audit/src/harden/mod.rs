//! From what is wrong to a plan of changes: pure, no file is touched here.

mod change;
pub mod channels;
pub mod doc;
pub mod host;
mod pattern;
pub mod profile;
pub mod translate;

pub use change::Change;
pub use pattern::{Match, Pattern, dotted};
