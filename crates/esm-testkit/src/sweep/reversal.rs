//! The expected end where the undo after the pivot is swept.

use std::collections::BTreeSet;
use std::sync::Arc;

use esm_core::event::{Event, Schema};
use esm_core::id::{EventId, Fingerprint, ObjectId, StreamId};
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};

use super::simulation::Simulation;

/// Returns the images that an object's events have at the end.
///
/// # Errors
/// When they cannot be read.
pub(super) async fn image(
    simulation: &Simulation<'_>,
    object: &ObjectId,
) -> Result<Arc<dyn EventTransformer>, String> {
    let scenario = simulation.scenario;
    if scenario.reversal.is_none() {
        return Ok(scenario.applied());
    }
    let originals = simulation.place.events(&StreamId::first(object)).await?;
    Ok(Arc::new(Restored {
        originals: originals.into_iter().map(|event| event.id).collect(),
        down: scenario.applied(),
    }))
}

/// Leaves the originals as they were, and transforms everything else by `down`.
#[derive(Debug)]
struct Restored {
    originals: BTreeSet<EventId>,
    down: Arc<dyn EventTransformer>,
}

impl EventTransformer for Restored {
    fn fingerprint(&self) -> Fingerprint {
        self.down.fingerprint()
    }

    fn handles(&self, _: &Schema) -> bool {
        true
    }

    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        if self.originals.contains(&event.id) || !self.down.handles(&event.schema()) {
            Ok(Transformed::Unchanged)
        } else {
            self.down.transform(event, context)
        }
    }
}

/// Returns the stream that the swept undo is to close, and those before it.
///
/// # Errors
/// The violation, for people.
pub(super) async fn closing(
    simulation: &Simulation<'_>,
    object: &ObjectId,
) -> Result<(StreamId, Vec<StreamId>), String> {
    let first = StreamId::first(object);
    if simulation.scenario.reversal.is_none() {
        return Ok((first, Vec::new()));
    }
    let tail = simulation.place.event_store.tail(&first).await;
    let tail = tail.map_err(|e| e.to_string())?;
    let target = tail.close().and_then(|close| close.target.as_ref());
    let target = target.ok_or(format!("{object} is open again"))?;
    Ok((target.stream.clone(), vec![first]))
}
