//! `esm layout`: the tables of other libraries.

mod check;
mod draft;
mod subcommand;

pub(crate) use subcommand::LayoutCommand;
