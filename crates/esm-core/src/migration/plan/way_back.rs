//! Findings of a dry run about a later rollback.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::clock::readable;
use crate::event::{Revision, Schema};
use crate::id::ObjectId;
use crate::protocol::plan::WayBack;
use crate::transform::{Failure, Mapped, Mapper};

/// Whether, and up to which event, a migration can be rolled back after its pivot.
///
/// The originals are always restored unchanged. Events that are appended after the cutover in a
/// schema that the migration introduces must be transformed back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WayBackFindings {
    /// Schemas that the migration introduces and old code does not know. Their events need a
    /// `down`.
    #[serde(default)]
    pub needs_down: BTreeSet<Schema>,
    /// Those of `needs_down` that the plan's `down` does not handle; all of them without a `down`.
    #[serde(default)]
    pub not_covered: BTreeSet<Schema>,
    /// The first output of the migration that the `down` fails on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl WayBackFindings {
    /// Returns the findings about a migration that introduces these schemas, with this `down`, which
    /// failed on an output like this.
    pub(crate) fn of(
        introduced: BTreeSet<Schema>,
        down: Option<&Mapper>,
        failure: Option<Failure>,
    ) -> Self {
        let handles = |schema: &&Schema| down.is_some_and(|d| d.transformer().handles(schema));
        let not_covered = introduced.iter().filter(|schema| !handles(schema));
        Self {
            not_covered: not_covered.cloned().collect(),
            needs_down: introduced,
            failure,
        }
    }

    /// Returns a description of how events that are rewritten in place are restored.
    pub(crate) fn describe_in_place(&self) -> String {
        let since = if let Some(failure) = &self.failure {
            format!("events appended since need a down, which fails on some: {failure}")
        } else if self.needs_down.is_empty() {
            "events appended since stay as they are".to_owned()
        } else {
            let schemas: Vec<_> = self.needs_down.iter().map(ToString::to_string).collect();
            format!(
                "events appended since need a down, of: {}",
                schemas.join(", ")
            )
        };
        format!(
            "the originals are restored from the archive, to the byte, until it is dropped; {since}"
        )
    }

    /// Returns a description of what can be undone, and until when.
    pub(crate) fn describe(&self, way_back: &WayBack) -> String {
        let window = match way_back.window {
            Some(window) => format!(", for {} after its end; then it is final", readable(window)),
            None => String::new(),
        };
        let until = if let Some(failure) = &self.failure {
            format!("until the first event is appended that its down fails on, such as: {failure}")
        } else if !self.not_covered.is_empty() {
            let schemas: Vec<_> = self.not_covered.iter().map(ToString::to_string).collect();
            format!(
                "until the first event is appended that lacks a required down transformation, of: {}",
                schemas.join(", ")
            )
        } else if self.needs_down.is_empty() {
            "with every event appended since, unchanged".to_owned()
        } else {
            "with every event appended since, through its down".to_owned()
        };
        format!(
            "before the Close of a source: undone without a trace; after it: reversed by a \
             migration that restores the originals, {until}{window}"
        )
    }
}

/// Returns the failure of the first output of a changed event that the `down` handles and fails on.
pub(super) fn failure(
    down: &Mapper,
    object: &ObjectId,
    revision: Revision,
    mapped: &Mapped,
) -> Option<Failure> {
    let mut outputs = mapped
        .outputs
        .iter()
        .filter(|output| mapped.retires() && down.transformer().handles(&output.schema()));
    outputs.find_map(|output| down.map(object, revision, output).err())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::event::Event;
    use crate::id::{EventId, EventType};
    use crate::transform::{
        EventTransformer, Fate, FunctionTransformer, SchemaAnalysis, TransformError, Transformed,
    };

    fn event(event_type: &str) -> Event {
        let event_type = EventType::new(event_type).unwrap();
        Event::new(EventId::new("7").unwrap(), event_type, "{}")
    }

    fn found(down: Option<&dyn Fn() -> FunctionTransformer>) -> WayBackFindings {
        let down = down.map(|down| Mapper::new(Arc::new(down()) as Arc<dyn EventTransformer>));
        let object: ObjectId = "order/1".parse().unwrap();
        let changed = Mapped {
            outputs: vec![event("New"), event("Known")],
            fate: Fate::Split,
        };
        let same = Mapped {
            outputs: vec![event("Same")],
            fate: Fate::Unchanged,
        };
        let (mut analysis, mut failed) = (SchemaAnalysis::default(), None);
        for mapped in [changed, same] {
            analysis.record(&event("Old").schema(), 1, &mapped);
            let down = down.as_ref().filter(|_| failed.is_none());
            failed = down
                .and_then(|down| failure(down, &object, Revision(2), &mapped))
                .or(failed);
        }
        analysis.made.remove(&event("Known").schema());
        WayBackFindings::of(analysis.made, down.as_ref(), failed)
    }

    #[test]
    fn what_is_made_anew_needs_a_down_that_handles_it_and_succeeds() {
        let new = BTreeSet::from([event("New").schema()]);
        let without = found(None);
        assert_eq!((&without.needs_down, &without.not_covered), (&new, &new));
        let forever = WayBack::default();
        assert!(without.describe(&forever).contains("until the first event"));

        let drops = || {
            let schemas = [event("New").schema()];
            FunctionTransformer::new("d", 1, schemas, |_, _| Ok(Transformed::dropped("d"))).unwrap()
        };
        let with = found(Some(&drops));
        assert_eq!(with.needs_down, new);
        assert!(with.not_covered.is_empty() && with.failure.is_none());
        let week = WayBack {
            window: Some(Duration::from_secs(7)),
            ..forever
        };
        assert!(with.describe(&week).contains("for 7s after its end"));

        let fails = || {
            FunctionTransformer::for_all("f", 1, |_, _| Err(TransformError::new("f", "no")))
                .unwrap()
        };
        let failing = found(Some(&fails)).failure.unwrap();
        assert_eq!(
            (failing.revision, failing.message.as_str()),
            (Revision(2), "no")
        );
    }
}
