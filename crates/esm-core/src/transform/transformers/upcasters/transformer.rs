//! The steps as one transformer.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::UpcasterGraph;
use super::step::{RULE, Step};
use crate::event::{Event, Schema};
use crate::id::Fingerprint;
use crate::transform::transformers::composition::{Flow, composed_fingerprint};
use crate::transform::{EventTransformer, TransformContext, TransformError, Transformed};

/// Brings events of old versions to the newest version of their type, step by step.
///
/// It is a transformer like others: a migration copies with it. An application that registers it with
/// its [client](crate::router::ObjectClient::with_transformer) reads through a migration with it, and
/// its appends of old versions are transformed after the cutover. Without a migration, a
/// [`Mapper`](crate::transform::Mapper) applies it to events that were read.
///
/// # Guarantees
/// 1. Each version that a step leads from has exactly one way to the newest version of its type. A
///    gap, a fork and a circle are refused when the steps are [built](super::UpcastersBuilder::build).
/// 2. An event of a known type arrives at its newest version, is dropped by a step, or fails. One of a
///    lower version that no step leads from fails, under the rule [`RULE`](Self::RULE), and so does a
///    step that gives another type or version than it is for.
/// 3. Events of the newest version, of a higher one and of other types are unchanged: id, bytes, time
///    and metadata.
/// 4. Every version that a step leads from is
///    [retired](EventTransformer::retired_schemas), whether or not there are events of it.
/// 5. The fingerprint is made of all steps, their versions and their own fingerprints. The order in
///    which they were added does not matter.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use esm_core::event::{Event, Revision, SchemaVersion};
/// use esm_core::id::{EventId, EventType, ObjectId};
/// use esm_core::transform::{Mapper, Upcasters};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize)]
/// struct PlacedV1 { amount: u64 }
/// #[derive(Serialize, Deserialize)]
/// struct PlacedV2 { cents: u64 }
/// #[derive(Serialize)]
/// struct PlacedV3 { cents: u64, currency: String }
///
/// let upcasters = Upcasters::builder()
///     .step::<PlacedV1, _>("Placed", 1, 2, |old| PlacedV2 { cents: old.amount * 100 })
///     .step("Placed", 2, 3, |old: PlacedV2| PlacedV3 { cents: old.cents, currency: "EUR".into() })
///     .build()?;
/// assert_eq!(upcasters.graph().to_string(), "Placed: v1 → v2 → v3");
///
/// let object: ObjectId = "order/1".parse()?;
/// let event = Event::new(EventId::new("7")?, EventType::new("Placed")?, r#"{"amount":5}"#);
/// let mapped = Mapper::new(Arc::new(upcasters)).map(&object, Revision::START, &event)?;
/// assert_eq!(mapped.outputs[0].schema_version, SchemaVersion(3));
/// assert_eq!(mapped.outputs[0].payload, r#"{"cents":500,"currency":"EUR"}"#);
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Upcasters {
    graph: UpcasterGraph,
    steps: BTreeMap<Schema, Step>,
    fingerprint: Fingerprint,
}

impl Upcasters {
    /// The rule under which an event fails that no step leads to the newest version.
    pub const RULE: &str = RULE;
    /// The most events that may become of one.
    pub const MAX_OUTPUTS: usize = 1_000;

    /// The graph was checked: there is one step from each version.
    pub(super) fn new(version: u32, graph: UpcasterGraph, steps: Vec<Step>) -> Self {
        let steps: BTreeMap<_, _> = steps.into_iter().map(|step| (step.from(), step)).collect();
        let parts: Vec<_> = [version.to_string()]
            .into_iter()
            .chain(steps.values().flat_map(|step| {
                let fingerprint = step.transformer.fingerprint();
                [
                    step.event_type.to_string(),
                    step.way.from.to_string(),
                    step.way.to.to_string(),
                    fingerprint.to_string(),
                ]
            }))
            .collect();
        Self {
            fingerprint: composed_fingerprint("upcasters:v1", parts.iter().map(String::as_str)),
            graph,
            steps,
        }
    }

    /// The versions of each type, and the steps between them.
    pub fn graph(&self) -> &UpcasterGraph {
        &self.graph
    }

    /// Whether an event of this schema has still a step to go.
    fn is_old(&self, schema: &Schema) -> bool {
        let newest = self.graph.newest(&schema.event_type);
        newest.is_some_and(|newest| schema.version < newest)
    }

    fn next(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        let schema = event.schema();
        if !self.is_old(&schema) {
            return Ok(Transformed::Unchanged);
        }
        match self.steps.get(&schema) {
            Some(step) => step.apply(event, context),
            None => Err(TransformError::new(
                Self::RULE,
                format!("no step leads from {schema} to a newer version"),
            )),
        }
    }
}

impl EventTransformer for Upcasters {
    /// `upcasters:v1:{BLAKE3 of all steps}`.
    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint.clone()
    }

    fn handles(&self, schema: &Schema) -> bool {
        self.is_old(schema)
    }

    fn retired_schemas(&self) -> BTreeSet<Schema> {
        self.graph.old().collect()
    }

    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        let mut flow = Flow::new(event);
        // all outputs of a step have its version, so they go the rest of the way together
        for _ in 0..self.graph.longest() {
            flow.through(|event| self.next(event, context))?;
            if flow.len() > Self::MAX_OUTPUTS {
                let most = Self::MAX_OUTPUTS;
                let message = format!("the steps give more than {most} outputs");
                return Err(TransformError::new(Self::RULE, message));
            }
        }
        Ok(flow.finish())
    }
}
