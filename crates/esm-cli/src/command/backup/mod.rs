//! `esm backup`: a subcommand a file.

mod create;
mod delete;
mod list;
mod place;
mod prune;
mod report;
mod restore;
mod show;
mod subcommand;
mod verify;

pub(crate) use subcommand::Backup;
