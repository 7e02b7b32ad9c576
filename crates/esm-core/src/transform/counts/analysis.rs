//! The one analysis of schemas: of a dry run, of a migration and of a rollback.

use std::collections::BTreeSet;

use crate::event::{Event, Schema};
use crate::transform::counts::EventCounts;
use crate::transform::mapper::{Failure, Mapped};

/// The schemas that a transformation was observed to retire, to keep and to produce.
#[derive(Debug, Default)]
pub(crate) struct SchemaAnalysis {
    /// The ledger names the schemas of events that were changed or dropped, and those that changed
    /// events keep.
    pub(crate) counts: EventCounts,
    /// Schemas of the outputs of changed events.
    pub(crate) made: BTreeSet<Schema>,
}

impl SchemaAnalysis {
    /// Records what became of a source event of this schema and size.
    pub(crate) fn record(&mut self, schema: &Schema, bytes: u64, mapped: &Mapped) {
        self.counts.record(schema, bytes, mapped);
        if mapped.retires() {
            self.made.extend(mapped.outputs.iter().map(Event::schema));
        }
    }

    /// Records a source event of this size that could not be transformed.
    pub(crate) fn record_failure(&mut self, bytes: u64, failure: Failure) {
        self.counts.record_failure(bytes, failure);
    }

    /// Adds the analysis of the part that follows, or of another source.
    pub(crate) fn merge(&mut self, next: Self) {
        self.counts.merge(&next.counts);
        self.made.extend(next.made);
    }
}
