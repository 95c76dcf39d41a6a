//! From what is wrong to a plan of changes: pure, no file is touched here.

pub mod doc;
