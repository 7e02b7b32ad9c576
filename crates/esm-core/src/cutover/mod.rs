//! The cutover replaces a source stream by a fresh target; migration, rollback and restore share
//! it.
//!
//! The caller observes an [`Attempt`](attempt::Attempt), chooses the next step with
//! [`decisions`](crate::protocol::decisions), and implements
//! [`Supervisor`](supervisor::Supervisor).
//!
//! | module | responsibility |
//! |---|---|
//! | `attempt` | one source, one target, and the observed state of both |
//! | `source` | which events are copied, reading them, and the analysis of their schemas |
//! | `target` | writes a target and reads it back; a restore uses it directly |
//! | `copy` | transforms the source's events into the target |
//! | `verify` | re-reads both streams and compares them; the user's own checks |
//! | `close` | closes the source (the pivot) and updates the document |
//! | `undo` | before the pivot: fences the source and discards the target |
//! | `supervisor` | the run around it: stop, pace, limits, progress |
//! | `meter` | time spent in each stage; how much of each phase is done, and how long it took |
//! | `engine` | what the attempts of one run share |

pub(crate) mod attempt;
pub(crate) mod close;
pub(crate) mod copy;
mod engine;
pub(crate) mod meter;
pub(crate) mod source;
pub(crate) mod supervisor;
pub(crate) mod target;
pub(crate) mod undo;
pub(crate) mod verify;

pub(crate) use engine::{Cutover, Urgency};
