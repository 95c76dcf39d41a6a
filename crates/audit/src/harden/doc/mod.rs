//! Documents: JSON5 with places, edits that keep everything else, and `$include`.

mod edit;
mod include;
mod parse;

pub use edit::{Edit, EditError, edit};
pub use include::{Documents, PlaceError, Resolve};
pub use parse::{Item, Kind, Member, Node, SyntaxError, parse, place};
