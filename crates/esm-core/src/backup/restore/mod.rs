//! Restoring: a section of a backup into a stream (R19).
//!
//! Both targets are one thing: a fresh stream T is written, read again and compared, and then takes
//! the place of a stream S by a Close of S with `continues: false`. For a new object S is the stream
//! where such an object begins, and is empty. Before the Close nobody knows of T, and the restore
//! can be undone: Fence S, discard T. After the Close there is only forward, to the document.
//!
//! The ids are derived from what is restored and where, so a restore that was interrupted is
//! resumed by doing it again, and two that know nothing of each other write the same cells.
//!
//! | file | idea |
//! |---|---|
//! | `request` | what users ask for and are told |
//! | `run` | a backup, section by section |
//! | `section` | one section, from wherever its restore stands to its end |
//! | `place` | S and T, and whether it was done before |
//! | `sink` | events into T, comparing what is there already |
//! | `pivot` | the Close |
//! | `document` | the document after it |

mod document;
mod fill;
mod pivot;
mod place;
mod request;
mod run;
mod section;

mod supervisor;

pub use request::{ReplacedStream, RestoreOptions, RestoreTarget, Restored, RestoredAll};
