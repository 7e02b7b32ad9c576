//! A decoder of the files of a local directory, written after docs/formats.md and nothing else.

mod backup;
mod cell;
mod place;
mod record;
mod store;

pub(crate) use backup::backup_events;
pub(crate) use cell::forge;
pub(crate) use place::{Kind, Place};
pub(crate) use store::{Store, appended, unclosed};
