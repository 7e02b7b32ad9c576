//! What a store must contain: computed here, without esm.

mod event;
mod objects;

pub(crate) use event::{Event, PROGRAM};
pub(crate) use objects::{Model, Objects, between, of_export, of_line, same};
