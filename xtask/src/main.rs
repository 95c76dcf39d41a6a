//! Project tasks: `cargo xtask demo|test|…`.

fn main() {}
