//! Backups by hand: many objects into one backup, its verification, and back into new objects.

mod create;
mod restore;
mod verify;

pub(crate) use create::create;
pub(crate) use restore::{Names, Restored, restore};
pub(crate) use verify::verify;
