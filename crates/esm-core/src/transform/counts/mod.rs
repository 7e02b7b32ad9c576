//! What a transformation did to the events of a source: counts, sizes and schemas.

mod analysis;
mod event_counts;
mod ledger;

pub(crate) use analysis::SchemaAnalysis;
pub use event_counts::EventCounts;
pub use ledger::Ledger;
