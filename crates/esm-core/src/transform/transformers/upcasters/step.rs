//! One step, and what it may give.

use std::sync::Arc;

use super::graph::UpcasterStep;
use crate::event::{Event, Schema};
use crate::id::EventType;
use crate::transform::{EventTransformer, TransformContext, TransformError, Transformed};

/// The rule under which an event fails that does not arrive where it should.
pub(super) const RULE: &str = "upcasters";

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) event_type: EventType,
    pub(super) way: UpcasterStep,
    pub(super) transformer: Arc<dyn EventTransformer>,
}

impl Step {
    pub(super) fn from(&self) -> Schema {
        Schema {
            event_type: self.event_type.clone(),
            version: self.way.from,
        }
    }

    /// Brings an event of the version `from` to the version `to`.
    pub(super) fn apply(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        let transformed = if self.transformer.handles(&event.schema()) {
            self.transformer.transform(event, context)?
        } else {
            Transformed::Unchanged
        };
        let mut outputs = match transformed {
            Transformed::Unchanged => vec![event.clone()],
            Transformed::Events(outputs) => outputs,
            dropped @ Transformed::Dropped { .. } => return Ok(dropped),
        };
        for output in &mut outputs {
            let same_type = output.event_type == self.event_type;
            if same_type && output.schema_version == self.way.from {
                output.schema_version = self.way.to;
            } else if !same_type || output.schema_version != self.way.to {
                return Err(self.misses(output));
            }
        }
        Ok(Transformed::Events(outputs))
    }

    fn misses(&self, output: &Event) -> TransformError {
        let UpcasterStep { from, to, file } = &self.way;
        let step = match file {
            Some(file) => file.clone(),
            None => format!("the step {} v{from} → v{to}", self.event_type),
        };
        let message = format!(
            "{step} gives {}, not {} v{to}",
            output.schema(),
            self.event_type
        );
        TransformError::new(RULE, message)
    }
}
