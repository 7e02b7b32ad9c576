//! The steps as one transformer.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{MAX_OLD, UpcasterGraph};
use super::step::{RULE, Step};
use crate::event::{Event, Schema};
use crate::id::Fingerprint;
use crate::transform::transformers::composition::{Flow, all_masks, composed_fingerprint};
use crate::transform::{
    EventTransformer, Identity, Masks, TransformContext, TransformError, Transformed,
};

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
/// 4. Every version below the newest one of a type is
///    [retired](EventTransformer::retired_schemas), whether or not there are events of it, or a step
///    that leads from it: from version 1 on, and from 0 if a step leads from there.
/// 5. The fingerprint is made of all steps, their versions and their own fingerprints. The order in
///    which they were added does not matter.
/// 6. Upcasters to which steps were only added, from versions that no earlier step led from or passed,
///    [include](EventTransformer::includes) the earlier ones: outputs have the same ids as if each step
///    were a migration of its own.
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
    /// The version of the closures.
    version: u32,
    fingerprint: Fingerprint,
}

impl Upcasters {
    /// The rule under which an event fails that no step leads to the newest version.
    pub const RULE: &str = RULE;
    /// The most events that may become of one.
    pub const MAX_OUTPUTS: usize = 1_000;
    /// The most versions below the newest ones, of all types: the first cell of a stream names them.
    pub const MAX_OLD: u64 = MAX_OLD;

    /// The graph was checked: there is one step from each version.
    pub(super) fn new(version: u32, graph: UpcasterGraph, steps: Vec<Step>) -> Self {
        let steps: BTreeMap<_, _> = steps.into_iter().map(|step| (step.from(), step)).collect();
        Self {
            fingerprint: fingerprint(version, steps.values()),
            version,
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
            None => Err(self.no_step(&schema)),
        }
    }

    fn no_step(&self, schema: &Schema) -> TransformError {
        let Schema {
            event_type,
            version,
        } = schema;
        let known = self.graph.steps(event_type).map(|step| step.from);
        let next = known.filter(|from| from > version).min();
        let next = next.or_else(|| self.graph.newest(event_type));
        let next = next.unwrap_or_default();
        let message = format!(
            "no step leads from {schema} to a newer version: add one, such as \
             {event_type}.v{version}-v{next}"
        );
        TransformError::new(Self::RULE, message)
    }
}

impl EventTransformer for Upcasters {
    /// `upcasters:v1:{BLAKE3 of all steps}`. With steps of jq programs `upcasters:v1:jq{N}:{BLAKE3}`,
    /// where `N` is the highest version of what they mean; it does not count in the hash. With one
    /// masking key `:key:{its id}` is added.
    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint.clone()
    }

    fn handles(&self, schema: &Schema) -> bool {
        self.is_old(schema)
    }

    fn retired_schemas(&self) -> BTreeSet<Schema> {
        self.graph.old().collect()
    }

    fn masks(&self) -> Masks {
        all_masks(self.steps.values().map(|step| &step.transformer))
    }

    /// Whether the earlier ones are those of these steps that lead from what they retired. The rest of
    /// the way is then the same.
    fn includes(&self, earlier: &Fingerprint, retired: &BTreeSet<Schema>) -> bool {
        if *earlier == self.fingerprint || *earlier == Identity.fingerprint() {
            return true;
        }
        let steps = self.steps.iter();
        let steps = steps.filter(|(schema, _)| retired.contains(schema));
        *earlier == fingerprint(self.version, steps.map(|(_, step)| step))
    }

    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        let mut flow = Flow::new(event);
        // all outputs of a step have its version, so they go the rest of the way together; each step
        // leads upwards, so this ends
        loop {
            let (mut outputs, mut changed) = (0, false);
            flow.through(|event| {
                let next = self.next(event, context)?;
                changed |= next != Transformed::Unchanged;
                outputs += count(&next);
                if outputs > Self::MAX_OUTPUTS {
                    let most = Self::MAX_OUTPUTS;
                    let message = format!("the steps give more than {most} outputs");
                    return Err(TransformError::new(Self::RULE, message));
                }
                Ok(next)
            })?;
            if !changed {
                return Ok(flow.finish());
            }
        }
    }
}

fn count(transformed: &Transformed) -> usize {
    match transformed {
        Transformed::Unchanged => 1,
        Transformed::Events(events) => events.len(),
        Transformed::Dropped { .. } => 0,
    }
}

/// The identity of upcasters of these steps.
fn fingerprint<'s>(version: u32, steps: impl Iterator<Item = &'s Step>) -> Fingerprint {
    let mut parts = vec![version.to_string()];
    let (mut meaning, mut keys) = (None, BTreeSet::new());
    for step in steps {
        let fingerprint = step.transformer.fingerprint();
        keys.extend(fingerprint.masking_key().map(str::to_owned));
        let (from, to) = (step.way.from, step.way.to);
        parts.extend([
            step.event_type.to_string(),
            from.to_string(),
            to.to_string(),
        ]);
        parts.push(match fingerprint.jq_parts() {
            Some((kind, version, rest)) => {
                meaning = meaning.max(Some(version));
                format!("{kind}:{rest}")
            }
            None => fingerprint.to_string(),
        });
    }
    let kind = match meaning {
        Some(meaning) => format!("upcasters:v1:jq{meaning}"),
        None => "upcasters:v1".to_owned(),
    };
    let composed = composed_fingerprint(&kind, parts.iter().map(String::as_str));
    let mut keys = keys.into_iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) => Fingerprint::new(format!("{composed}:key:{key}")).unwrap_or(composed),
        _ => composed,
    }
}
