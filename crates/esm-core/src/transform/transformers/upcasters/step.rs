//! One step, and what it may give.

use std::sync::Arc;

use super::graph::UpcasterStep;
use crate::error::Error;
use crate::event::{Event, Schema};
use crate::id::EventType;
use crate::transform::mapper::settle_ids;
use crate::transform::{EventTransformer, Identity, TransformContext, TransformError, Transformed};

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
        if outputs.len() > 1 {
            // as if each step were a migration of its own
            settle_ids(&event.id, &mut outputs).map_err(|error| TransformError {
                message: format!("{}: {}", self.name(), error.message),
                ..error
            })?;
        }
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

    /// Refuses a transformer that leaves every event of the step as it is, except for [`Identity`].
    pub(super) fn check(&self) -> Result<(), Error> {
        let from = self.from();
        if self.transformer.handles(&from)
            || self.transformer.fingerprint() == Identity.fingerprint()
        {
            return Ok(());
        }
        let message = format!(
            "upcaster leaves every event as it is: {} does not handle {from}",
            self.name()
        );
        Err(Error::invalid(message).with_hint(
            "give a transformer for that type and version, or Identity where only the version changes",
        ))
    }

    /// Its file, or its type and versions.
    fn name(&self) -> String {
        let UpcasterStep { from, to, file } = &self.way;
        match file {
            Some(file) => file.clone(),
            None => format!("the step {} v{from} → v{to}", self.event_type),
        }
    }

    fn misses(&self, output: &Event) -> TransformError {
        let message = format!(
            "{} gives {}, not {} v{}",
            self.name(),
            output.schema(),
            self.event_type,
            self.way.to
        );
        TransformError::new(RULE, message)
    }
}
