//! What the actors do, a step at a time.

mod behind;
mod compare;
mod migrator;
mod reader;
mod run;
mod undo;
mod writer;

pub(crate) use writer::sent;
