//! `esm layout`: the tables of other libraries.

mod check;
mod database;
mod draft;
mod subcommand;

pub(crate) use subcommand::LayoutCommand;
