//! The `esm` command.
fn main() {}
