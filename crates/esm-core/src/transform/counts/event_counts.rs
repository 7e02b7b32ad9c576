//! What became of events, and their sizes: the record that reports, journals and plans share.

use serde::{Deserialize, Serialize};

use crate::event::{Event, Schema};
use crate::transform::counts::Ledger;
use crate::transform::mapper::{Failure, Mapped};

/// What became of the events of a source, and their sizes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EventCounts {
    /// What became of the source events.
    pub ledger: Ledger,
    /// Bytes of the source events, uncompressed.
    pub source_bytes: u64,
    /// Bytes of the target events, uncompressed.
    pub target_bytes: u64,
}

impl EventCounts {
    /// Records what became of a source event of this schema and size.
    pub fn record(&mut self, schema: &Schema, bytes: u64, mapped: &Mapped) {
        let outputs = mapped.outputs.iter().map(Event::approximate_size);
        self.source_bytes += bytes;
        self.target_bytes += outputs.sum::<u64>();
        self.ledger.record_schema(schema, mapped);
    }

    /// Records a source event of this size that could not be transformed.
    pub fn record_failure(&mut self, bytes: u64, failure: Failure) {
        self.source_bytes += bytes;
        self.ledger.record_failure(failure);
    }

    /// Adds the counts of the part that follows, or of another source.
    pub fn merge(&mut self, next: &Self) {
        self.ledger.merge(&next.ledger);
        self.source_bytes += next.source_bytes;
        self.target_bytes += next.target_bytes;
    }
}
