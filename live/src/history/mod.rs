//! What applications tried and what they were told, in files.

mod entry;
mod file;
mod told;

pub(crate) use entry::{Answer, Entry, Loaded, Seen};
pub(crate) use file::HistoryFile;
#[cfg(test)]
pub(crate) use told::Answered;
pub(crate) use told::{Attempt, Told};
