//! What a migration, a rollback and a restore share: replacing a source by a fresh target.
//!
//! An [`Attempt`](attempt::Attempt) has one source and one target. Its target is written by `copy`,
//! read again and compared with the source by `compare`, and takes the source's place by `close`;
//! until then `undo` takes it back. What is copied is described in `source`. The caller decides which
//! of them comes next with [`decisions`](crate::protocol::decisions), and implements
//! [`Supervisor`](supervisor::Supervisor).

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
pub(crate) mod undo;

pub(crate) use engine::{Cutover, Urgency};
