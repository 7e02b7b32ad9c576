//! What a run works on: a store, applications that write to it, and what they tell.

mod directory;
mod fleet;
mod storage;

pub(crate) use directory::{Size, World};
pub(crate) use fleet::{Fleet, Pace};
pub(crate) use storage::Storage;
