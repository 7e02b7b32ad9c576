//! Several transformations in sequence.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::event::{Event, Schema};
use crate::id::Fingerprint;
use crate::transform::transformers::composition::{Flow, all_masks, composed_fingerprint};
use crate::transform::{EventTransformer, Masks, TransformContext, TransformError, Transformed};

/// Stages in sequence: each is applied to every output of the one before whose schema it handles.
///
/// # Guarantees
/// 1. The fingerprint is composed of the stages', in their order, and of one length however many
///    there are.
/// 2. An event that no stage changes is unchanged: id, bytes, time and metadata.
/// 3. When all outputs of an event are dropped, the event is dropped under the rule that dropped
///    the last of them. While others are left, it is not.
///
/// # Example
/// ```
/// use esm_core::event::Schema;
/// use esm_core::transform::{FunctionTransformer, TransformationPipeline, Transformed};
///
/// let rename = FunctionTransformer::new(
///     "rename-placed",
///     1,
///     [Schema::new("OrderPlaced", 1)?],
///     |event, _| {
///         let mut event = event.clone();
///         event.schema_version.0 = 2;
///         Ok(Transformed::Events(vec![event]))
///     },
/// )?;
/// let pipeline = TransformationPipeline::new()
///     .filter("no test orders", |event| event.metadata.get("test").is_none())
///     .then(rename);
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TransformationPipeline {
    stages: Vec<Arc<dyn EventTransformer>>,
}

impl TransformationPipeline {
    /// No stage yet: leaves everything as it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stage at the end.
    #[must_use]
    pub fn then(mut self, stage: impl EventTransformer) -> Self {
        self.stages.push(Arc::new(stage));
        self
    }

    /// Adds a stage at the end that keeps the events for which `keep` answers `true` and drops the
    /// others under this rule.
    ///
    /// The rule is also the stage's identity in the fingerprint: a predicate that decides otherwise
    /// needs another name, for example `no test orders v2`.
    #[must_use]
    pub fn filter(
        self,
        rule: impl Into<String>,
        keep: impl Fn(&Event) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.then(Filter {
            rule: rule.into(),
            keep,
        })
    }
}

impl EventTransformer for TransformationPipeline {
    fn fingerprint(&self) -> Fingerprint {
        let stages: Vec<_> = self.stages.iter().map(|s| s.fingerprint()).collect();
        composed_fingerprint("pipeline", stages.iter().map(Fingerprint::as_str))
    }

    fn handles(&self, schema: &Schema) -> bool {
        self.stages.iter().any(|stage| stage.handles(schema))
    }

    fn retired_schemas(&self) -> BTreeSet<Schema> {
        self.stages
            .iter()
            .flat_map(|stage| stage.retired_schemas())
            .collect()
    }

    fn masks(&self) -> Masks {
        all_masks(&self.stages)
    }

    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        let mut flow = Flow::new(event);
        for stage in &self.stages {
            flow.through(|event| {
                if stage.handles(&event.schema()) {
                    stage.transform(event, context)
                } else {
                    Ok(Transformed::Unchanged)
                }
            })?;
            if flow.is_over() {
                break;
            }
        }
        Ok(flow.finish())
    }
}

struct Filter<F> {
    rule: String,
    keep: F,
}

impl<F> fmt::Debug for Filter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("rule", &self.rule)
            .finish_non_exhaustive()
    }
}

impl<F: Fn(&Event) -> bool + Send + Sync + 'static> EventTransformer for Filter<F> {
    fn fingerprint(&self) -> Fingerprint {
        composed_fingerprint("filter", [self.rule.as_str()])
    }

    fn handles(&self, _schema: &Schema) -> bool {
        true
    }

    fn transform(
        &self,
        event: &Event,
        _context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        Ok(if (self.keep)(event) {
            Transformed::Unchanged
        } else {
            Transformed::Dropped {
                rule: self.rule.clone(),
            }
        })
    }
}

#[cfg(test)]
mod tests;
