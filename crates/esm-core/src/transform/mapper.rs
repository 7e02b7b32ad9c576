//! Applies a transformer to one event: the one place where outputs become what is stored.

use std::any::Any;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::event::{Event, Revision, Schema};
use crate::id::{EventId, Fingerprint, ObjectId};
use crate::transform::{EventTransformer, TransformContext, TransformError, Transformed};

/// What became of one source event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// What the target gets, in order; none when the event is dropped.
    pub outputs: Vec<Event>,
    /// What happened to it.
    pub fate: Fate,
}

impl Mapped {
    /// Whether this retires the source event's schema ([R11](crate::protocol#r11)): it was changed
    /// or dropped, so an event of that schema must not stand in the target as it is.
    pub fn retires(&self) -> bool {
        self.fate != Fate::Unchanged
    }

    /// Whether an output has this schema, that of the source event, although the event was changed.
    /// Appends of old and new code are then indistinguishable ([R11](crate::protocol#r11)).
    pub fn reuses(&self, source: &Schema) -> bool {
        self.retires()
            && self.outputs.iter().any(|output| {
                output.schema_version == source.version && output.event_type == source.event_type
            })
    }
}

/// What happened to a source event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It stays as it is: id, bytes, time and metadata.
    Unchanged,
    /// It became one other event.
    Changed,
    /// It became several events.
    Split,
    /// It is left out.
    Dropped {
        /// The rule that dropped it.
        rule: String,
    },
}

/// A source event that could not be transformed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error(
    "event cannot be transformed by {rule}: {message}: {schema} {event} at revision {revision}"
)]
pub struct Failure {
    /// The object of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Box<ObjectId>>,
    /// The event.
    pub event: EventId,
    /// Its type and schema version.
    pub schema: Schema,
    /// Its revision in the source.
    pub revision: Revision,
    /// The rule that failed.
    pub rule: String,
    /// What went wrong.
    pub message: String,
    /// Number of events that fail in the same way. This one is the first.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u64,
}

fn one() -> u64 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_one(number: &u64) -> bool {
    *number == 1
}

impl Failure {
    /// Returns whether the two fail in the same way: the same schema, rule and message.
    pub fn is_like(&self, other: &Self) -> bool {
        self.schema == other.schema && self.rule == other.rule && self.message == other.message
    }

    /// Returns the failure that caused an error.
    pub fn of(error: &Error) -> Option<&Self> {
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            if let Some(failure) = cause.downcast_ref() {
                return Some(failure);
            }
            source = cause.source();
        }
        None
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::new(ErrorKind::TransformFailed, failure.to_string())
            .with_hint(
                "fix the transformation, or handle this event in it; its object was not cut over",
            )
            .with_source(failure)
    }
}

/// Applies a transformer to single events.
///
/// # Guarantees
/// 1. An event whose schema the transformer does not [handle](EventTransformer::handles) is
///    unchanged and is not handed over.
/// 2. An only output that equals the event means unchanged; an empty list means dropped under the
///    rule [`EMPTY`](Self::EMPTY).
/// 3. Of several outputs, each that keeps the source event's id gets the id `{id}.{index}`. The
///    ids of the outputs of one event are unique, or it is a failure.
/// 4. A transformer that panics fails on that event, under the rule [`PANIC`](Self::PANIC).
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use esm_core::event::{Event, Revision};
/// use esm_core::id::{EventId, EventType, ObjectId};
/// use esm_core::transform::{Fate, Identity, Mapper};
///
/// let mapper = Mapper::new(Arc::new(Identity));
/// let object: ObjectId = "order/1".parse()?;
/// let event = Event::new(EventId::new("7")?, EventType::new("OrderPlaced")?, "{}");
/// let mapped = mapper.map(&object, Revision::START, &event)?;
/// assert_eq!((mapped.fate, mapped.outputs), (Fate::Unchanged, vec![event]));
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mapper {
    transformer: Arc<dyn EventTransformer>,
    twice: bool,
}

/// The outcome before an unchanged event is copied or moved.
enum Outcome {
    Unchanged,
    Other(Mapped),
}

impl Mapper {
    /// The rule under which an empty list of outputs drops.
    pub const EMPTY: &str = "empty";
    /// The rule under which a panic is reported.
    pub const PANIC: &str = "panic";
    /// The rule under which ids of outputs are refused.
    pub const OUTPUT_IDS: &str = "output ids";
    /// The rule under which a transformer is refused that gives two answers to one event.
    pub const DETERMINISM: &str = "determinism";

    /// Applies this transformer.
    pub fn new(transformer: Arc<dyn EventTransformer>) -> Self {
        Self {
            transformer,
            twice: false,
        }
    }

    /// Transforms every event twice and fails, under the rule [`DETERMINISM`](Self::DETERMINISM),
    /// where the two differ. Costs the time of a second transformation.
    #[must_use]
    pub fn checking_determinism(mut self) -> Self {
        self.twice = true;
        self
    }

    /// The same, with the transformer in another.
    #[must_use]
    pub(crate) fn over(
        &self,
        wrap: impl FnOnce(Arc<dyn EventTransformer>) -> Arc<dyn EventTransformer>,
    ) -> Self {
        Self {
            transformer: wrap(Arc::clone(&self.transformer)),
            twice: self.twice,
        }
    }

    /// The transformer's identity.
    pub fn fingerprint(&self) -> Fingerprint {
        self.transformer.fingerprint()
    }

    /// The transformer.
    pub fn transformer(&self) -> &Arc<dyn EventTransformer> {
        &self.transformer
    }

    /// Transforms one event.
    ///
    /// # Errors
    /// The [`Failure`], naming the event, its revision and the rule.
    pub fn map(
        &self,
        object: &ObjectId,
        revision: Revision,
        event: &Event,
    ) -> Result<Mapped, Failure> {
        Ok(match self.outcome(object, revision, event)? {
            Outcome::Unchanged => unchanged(event.clone()),
            Outcome::Other(mapped) => mapped,
        })
    }

    /// Transforms one event that the caller no longer needs: an unchanged one is not copied.
    ///
    /// # Errors
    /// The [`Failure`], naming the event, its revision and the rule.
    pub fn map_owned(
        &self,
        object: &ObjectId,
        revision: Revision,
        event: Event,
    ) -> Result<Mapped, Failure> {
        Ok(match self.outcome(object, revision, &event)? {
            Outcome::Unchanged => unchanged(event),
            Outcome::Other(mapped) => mapped,
        })
    }

    fn outcome(
        &self,
        object: &ObjectId,
        revision: Revision,
        event: &Event,
    ) -> Result<Outcome, Failure> {
        let context = TransformContext::new(object, revision);
        self.apply(event, &context).map_err(|error| Failure {
            object: Some(Box::new(object.clone())),
            event: event.id.clone(),
            schema: event.schema(),
            revision,
            rule: error.rule,
            message: error.message,
            count: 1,
        })
    }

    fn apply(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Outcome, TransformError> {
        let Some(transformed) = self.call(event, context)? else {
            return Ok(Outcome::Unchanged);
        };
        if self.twice && self.call(event, context)?.as_ref() != Some(&transformed) {
            return Err(TransformError::new(
                Self::DETERMINISM,
                "two transformations of the same event differ",
            ));
        }
        normalise(event, transformed)
    }

    /// Calls the transformer; nothing when it does not handle the event's schema.
    fn call(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Option<Transformed>, TransformError> {
        // a transformer holds no state of ours, so nothing half-changed can be seen after a panic
        catch_unwind(AssertUnwindSafe(|| {
            if self.transformer.handles(&event.schema()) {
                self.transformer.transform(event, context).map(Some)
            } else {
                Ok(None)
            }
        }))
        .unwrap_or_else(|panic| Err(TransformError::new(Self::PANIC, panic_message(&*panic))))
    }
}

fn unchanged(event: Event) -> Mapped {
    Mapped {
        outputs: vec![event],
        fate: Fate::Unchanged,
    }
}

fn normalise(event: &Event, transformed: Transformed) -> Result<Outcome, TransformError> {
    let dropped = |rule| Mapped {
        outputs: Vec::new(),
        fate: Fate::Dropped { rule },
    };
    let mut outputs = match transformed {
        Transformed::Unchanged => return Ok(Outcome::Unchanged),
        Transformed::Dropped { rule } => return Ok(Outcome::Other(dropped(rule))),
        Transformed::Events(outputs) => outputs,
    };
    let fate = match outputs.as_slice() {
        [] => return Ok(Outcome::Other(dropped(Mapper::EMPTY.to_owned()))),
        [only] if only == event => return Ok(Outcome::Unchanged),
        [_] => Fate::Changed,
        _ => {
            settle_ids(&event.id, &mut outputs)?;
            Fate::Split
        }
    };
    Ok(Outcome::Other(Mapped { outputs, fate }))
}

/// Gives each output that keeps the source's id its own, and refuses two of the same.
pub(in crate::transform) fn settle_ids(
    source: &EventId,
    outputs: &mut [Event],
) -> Result<(), TransformError> {
    for (index, output) in outputs.iter_mut().enumerate() {
        if output.id == *source {
            output.id = EventId::new(format!("{source}.{index}"))
                .map_err(|e| TransformError::new(Mapper::OUTPUT_IDS, e.to_string()))?;
        }
    }
    let mut seen = HashSet::with_capacity(outputs.len());
    match outputs.iter().find(|output| !seen.insert(&output.id)) {
        Some(twice) => Err(TransformError::new(
            Mapper::OUTPUT_IDS,
            format!("two outputs have the same id: {}", twice.id),
        )),
        None => Ok(()),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    match text {
        Some(text) => format!("the transformer panicked: {text}"),
        None => "the transformer panicked".to_owned(),
    }
}

#[cfg(test)]
mod tests;
