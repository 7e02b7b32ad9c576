//! The journal: the durable record of a migration, appended by compare-and-swap.

mod log;
mod record;
mod state;

pub(crate) use log::Journal;
pub use record::{JournalEntry, JournalRecord, Outcome, VerifiedCheckpoint};
pub use state::{Batch, IllegalRecord, JournalState, Stopped};

#[cfg(test)]
mod tests;
