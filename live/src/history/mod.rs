//! What applications tried and what they were told, in files.

mod entry;
mod file;
mod told;

pub(crate) use entry::{Answer, Entry, Seen};
pub(crate) use file::HistoryFile;
#[cfg(test)]
pub(crate) use told::Answered;
pub(crate) use told::{Attempt, Told};
