//! `esm store`: create, show, adopt a store that has lost its marker, give a copy an id of its own.

mod adopt;
mod link;
mod new_id;
mod show;
mod subcommand;

pub(crate) use subcommand::StoreCommand;
