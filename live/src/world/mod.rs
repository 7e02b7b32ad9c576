//! What a run works on: a store in a directory, applications that write to it, and what they tell.

mod directory;
mod fleet;

pub(crate) use directory::{Size, World, address};
pub(crate) use fleet::{Fleet, Pace};
