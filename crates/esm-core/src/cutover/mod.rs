//! What a migration, a rollback and a restore share: replacing a source by a fresh target.
//!
//! An [`Attempt`](attempt::Attempt) has one source and one target. `copy` writes the target, `compare`
//! reads it again and compares it with the source, and `close` makes it take the source's place; until
//! then `undo` takes it back. `source` describes what is copied. A restore has its events from a backup
//! instead: it feeds the writer of `target` itself and reads the target again with the same reader.
//! The caller decides which of them comes next with [`decisions`](crate::protocol::decisions), and
//! implements [`Supervisor`](supervisor::Supervisor).

pub(crate) mod attempt;
pub(crate) mod checks;
pub(crate) mod close;
pub(crate) mod compare;
pub(crate) mod copy;
mod engine;
pub(crate) mod meter;
pub(crate) mod schemas;
pub(crate) mod source;
pub(crate) mod supervisor;
pub(crate) mod target;
pub(crate) mod undo;

pub(crate) use engine::{Cutover, Urgency};
