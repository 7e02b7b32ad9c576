//! From the syntax tree to what the machine runs: names become places.

mod call;
mod lowerer;
mod pattern;
mod scope;
mod term;

pub(crate) use term::lower;
