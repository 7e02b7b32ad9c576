//! `esm backup`: a subcommand a file.

mod check;
mod create;
mod delete;
mod filter;
mod list;
mod place;
mod prune;
mod report;
mod restore;
mod show;
mod subcommand;
mod verify;

pub(crate) use subcommand::Backup;
