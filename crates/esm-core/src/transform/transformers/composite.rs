//! One of several transformers, chosen by schema.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::event::{Event, Schema};
use crate::id::Fingerprint;
use crate::transform::transformers::composition::{Flow, all_masks, composed_fingerprint};
use crate::transform::{EventTransformer, Masks, TransformContext, TransformError, Transformed};

/// Chooses by (type, schema version) among several transformers.
///
/// # Guarantees
/// 1. **The first that handles a schema wins**; the order of adding is the order of asking. So the
///    special ones come first and one for everything else last. The choice is by schema alone: what
///    the first leaves unchanged is not offered to the others.
/// 2. **Upcasters chain**: an output that has another schema than the event it stems from is
///    offered again, so that v1→v2 and v2→v3 bring a v1 event to v3, whichever was added first. An
///    output of the same schema is final. A chain that comes back to a schema is an error, under
///    the rule [`CYCLE`](Self::CYCLE), naming the schemas; it always ends.
/// 3. The fingerprint is composed of the members', in their order, and of one length however many
///    there are.
/// 4. When all outputs of an event are dropped, the event is dropped under the rule that dropped
///    the last of them. While others are left, it is not.
///
/// Where each output is to meet every transformation in a fixed order, use a
/// [`TransformationPipeline`](super::TransformationPipeline). Steps from version to version are safer
/// as [`Upcasters`](super::Upcasters), which check that each version has one way to the newest.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use esm_core::event::{Event, Revision, Schema, SchemaVersion};
/// use esm_core::id::{EventId, EventType, ObjectId};
/// use esm_core::transform::{CompositeTransformer, FunctionTransformer, Mapper};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize)]
/// struct PlacedV1 { amount: u64 }
/// #[derive(Serialize, Deserialize)]
/// struct PlacedV2 { cents: u64 }
/// #[derive(Serialize)]
/// struct PlacedV3 { cents: u64, currency: String }
///
/// let [v1, v2, v3] = [1, 2, 3].map(|v| Schema::new("OrderPlaced", v));
/// let (v1, v2, v3) = (v1?, v2?, v3?);
/// let upcasters = CompositeTransformer::new()
///     .with(FunctionTransformer::typed::<PlacedV1, PlacedV2>(
///         "placed-v2", 1, v1, v2.clone(), |old| PlacedV2 { cents: old.amount * 100 })?)
///     .with(FunctionTransformer::typed::<PlacedV2, PlacedV3>(
///         "placed-v3", 1, v2, v3,
///         |old| PlacedV3 { cents: old.cents, currency: "EUR".into() })?);
///
/// let object: ObjectId = "order/1".parse()?;
/// let event = Event::new(EventId::new("7")?, EventType::new("OrderPlaced")?, r#"{"amount":5}"#);
/// let mapped = Mapper::new(Arc::new(upcasters)).map(&object, Revision::START, &event)?;
/// assert_eq!(mapped.outputs[0].schema_version, SchemaVersion(3));
/// assert_eq!(mapped.outputs[0].payload, r#"{"cents":500,"currency":"EUR"}"#);
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct CompositeTransformer {
    members: Vec<Arc<dyn EventTransformer>>,
}

impl CompositeTransformer {
    /// The rule under which a chain of upcasters is refused that comes back to a schema.
    pub const CYCLE: &str = "cycle";

    /// No member yet: leaves everything as it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member; those that were added before are asked first.
    #[must_use]
    pub fn with(mut self, member: impl EventTransformer) -> Self {
        self.members.push(Arc::new(member));
        self
    }

    /// Applies the member for this event's schema, and those that its outputs call for.
    /// `path` are the schemas that led here.
    fn apply(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
        path: &mut Vec<Schema>,
    ) -> Result<Transformed, TransformError> {
        let schema = event.schema();
        let Some(member) = self.members.iter().find(|m| m.handles(&schema)) else {
            return Ok(Transformed::Unchanged);
        };
        let mut flow = Flow::new(event);
        flow.through(|event| member.transform(event, context))?;
        if !flow.is_changed() {
            return Ok(Transformed::Unchanged);
        }
        path.push(schema);
        flow.through(|output| match path.last() {
            Some(from) if *from == output.schema() => Ok(Transformed::Unchanged),
            _ if path.contains(&output.schema()) => Err(cycle(path, &output.schema())),
            _ => self.apply(output, context, path),
        })?;
        path.pop();
        Ok(flow.finish())
    }
}

fn cycle(path: &[Schema], again: &Schema) -> TransformError {
    let path: Vec<_> = path.iter().chain([again]).map(Schema::to_string).collect();
    TransformError::new(
        CompositeTransformer::CYCLE,
        format!(
            "the transformers come back to where they began: {}",
            path.join(" → ")
        ),
    )
}

impl EventTransformer for CompositeTransformer {
    fn fingerprint(&self) -> Fingerprint {
        let members: Vec<_> = self.members.iter().map(|m| m.fingerprint()).collect();
        composed_fingerprint("composite", members.iter().map(Fingerprint::as_str))
    }

    fn handles(&self, schema: &Schema) -> bool {
        self.members.iter().any(|member| member.handles(schema))
    }

    fn retired_schemas(&self) -> BTreeSet<Schema> {
        let mut retired = BTreeSet::new();
        for (at, member) in self.members.iter().enumerate() {
            // a later member's word counts only where it is asked
            let asks = |schema: &Schema| self.members.iter().position(|m| m.handles(schema));
            let of_member = member.retired_schemas().into_iter();
            retired.extend(of_member.filter(|schema| asks(schema) == Some(at)));
        }
        retired
    }

    fn masks(&self) -> Masks {
        all_masks(&self.members)
    }

    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        self.apply(event, context, &mut Vec::new())
    }
}

#[cfg(test)]
mod tests;
