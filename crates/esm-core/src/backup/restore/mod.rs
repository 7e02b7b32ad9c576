//! Restoring: a section of a backup into a stream (R19).
//!
//! A restore is a [cutover](crate::cutover) whose events come from a backup. A fresh stream T is
//! written, read again and compared, and then takes the place of a stream S by a Close of S with
//! `continues: false`. For a new object S is the stream where such an object begins, and is empty.
//! Nothing names T before the Close, and the restore can be undone: Fence S, discard T. After the Close
//! it can only be completed, by the document.
//!
//! The ids are derived from what is restored and where, so a restore that was interrupted is resumed by
//! doing it again, and two that run at the same time write the same cells.
//!
//! | file | idea |
//! |---|---|
//! | `request` | what callers ask for and get back |
//! | `run` | a backup, section by section |
//! | `section` | one section, or its beginning, from wherever its restore has got to, to its end |
//! | `place` | S and T, and whether it was done before |
//! | `fill` | a section's events into T |
//! | `pivot` | T verified, S closed, the document after it |
//! | `supervisor` | what a cutover needs of its run |

mod fill;
mod pivot;
mod place;
mod request;
mod run;
mod section;
mod supervisor;

pub use request::{
    ReplacedStream, RestoreFailure, RestoreOptions, RestoreTarget, RestoreUntil, Restored,
    RestoredAll,
};
