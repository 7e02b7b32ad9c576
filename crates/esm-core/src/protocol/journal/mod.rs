//! What a journal records, and the state that its records add up to.

mod record;
mod state;

pub use record::{JournalEntry, JournalRecord, Outcome, VerifiedCheckpoint};
pub use state::{Batch, IllegalRecord, JournalState, Stopped};
