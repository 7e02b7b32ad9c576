//! `esm upcasters`: a directory of upcasters, without events.

mod check;
mod directory;
mod graph;
mod subcommand;

pub(crate) use subcommand::UpcastersCommand;
