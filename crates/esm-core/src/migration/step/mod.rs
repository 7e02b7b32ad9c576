//! The steps of a migration around the cutover itself: backup, phases, readiness, books and undo.
//!
//! | module | responsibility |
//! |---|---|
//! | `standing` | which originals of an object a reverse migration restores |
//! | `pin` | keeps the originals from being deleted while they are copied |
//! | `back_up` | writes and verifies the backup or the archive |
//! | `phases` | publishes the phases of an object |
//! | `readiness` | hooks, phases and the gate between a verified target and its Close |
//! | `close_books` | archives the closed streams |
//! | `undo` | undoes an attempt and publishes it |

pub(crate) mod back_up;
pub(crate) mod close_books;
pub(crate) mod phases;
pub(crate) mod pin;
pub(crate) mod readiness;
pub(crate) mod standing;
pub(crate) mod undo;
