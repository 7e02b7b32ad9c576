//! Files of what applications tried and of the responses that they received.

mod entry;
mod file;
mod told;

pub(crate) use entry::{Answer, Entry, Loaded, Seen};
pub(crate) use file::HistoryFile;
#[cfg(test)]
pub(crate) use told::Answered;
pub(crate) use told::{Attempt, Told};
