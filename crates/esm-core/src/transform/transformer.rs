//! The trait that every transformation implements.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use crate::event::{Event, Revision, Schema};
use crate::id::{Fingerprint, ObjectId};
use crate::transform::masking::Masks;

/// What an event is transformed to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transformed {
    /// It stays as it is: id, bytes, time and metadata.
    Unchanged,
    /// It becomes these events, in order; an empty list drops it under the rule `empty`.
    ///
    /// An output that keeps the source event's id while there are several gets the id
    /// `{id}.{index}`.
    Events(Vec<Event>),
    /// It is left out, by the rule of this name.
    Dropped {
        /// The rule, for the ledger of the report.
        rule: String,
    },
}

impl Transformed {
    /// Left out by this rule.
    pub fn dropped(rule: impl Into<String>) -> Self {
        Self::Dropped { rule: rule.into() }
    }
}

/// Why an event could not be transformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransformError {
    /// The rule that failed, for the ledger of the report.
    pub rule: String,
    /// What went wrong.
    pub message: String,
}

impl TransformError {
    /// A failure of this rule.
    pub fn new(rule: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            message: message.into(),
        }
    }
}

/// The place of the event that is being transformed.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TransformContext<'a> {
    /// The object.
    pub object: &'a ObjectId,
    /// The event's revision in the source.
    pub revision: Revision,
}

impl<'a> TransformContext<'a> {
    /// The context of the event at this revision of this object's stream.
    pub fn new(object: &'a ObjectId, revision: Revision) -> Self {
        Self { object, revision }
    }
}

/// Transforms events one by one.
///
/// # Guarantees that an implementation gives
/// 1. **Deterministic and pure per event**: equal events in equal contexts give equal outputs, in
///    every process, on every day. The verification transforms everything a second time and
///    compares; a transformer that draws ids or asks for the time fails it.
/// 2. **Honest identity**: two transformers with the same [`fingerprint`](Self::fingerprint) give
///    equal outputs. A migration that is resumed trusts it.
///
/// Later versions may add methods with default bodies, for transformations that keep state over
/// events; today's implementations continue to work.
pub trait EventTransformer: Send + Sync + Debug + 'static {
    /// Identity of this transformation.
    fn fingerprint(&self) -> Fingerprint;

    /// Whether events of this schema are of interest. Others stay as they are and are not handed
    /// over.
    fn handles(&self, schema: &Schema) -> bool;

    /// The schemas that this certainly changes or drops, whichever events of them there are.
    ///
    /// A migration retires them together with those that it saw being changed or dropped
    /// ([R11](crate::protocol#r11)). So old code is also kept from appending an event of an old
    /// schema that the source had none of.
    fn retired_schemas(&self) -> BTreeSet<Schema> {
        BTreeSet::new()
    }

    /// How this masks values. A plan lists the fields that are masked in these ways, and other fields
    /// that have the same values. Defaults to not at all.
    fn masks(&self) -> Masks {
        Masks::default()
    }

    /// Whether this certainly gives of every event what the transformation with the fingerprint
    /// `earlier` and then this one would give together.
    ///
    /// An application that has registered only the newest transformation can then append events that
    /// two migrations retired ([R11](crate::protocol#r11)). `retired` are the schemas that the earlier
    /// migration retired, with those that it inherited. Where this is not certain, `false` is right.
    fn includes(&self, earlier: &Fingerprint, retired: &BTreeSet<Schema>) -> bool {
        let _ = (earlier, retired);
        false
    }

    /// Transforms one event.
    ///
    /// # Errors
    /// Stops the migration; no failing event is ever skipped.
    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError>;
}

/// Leaves every event as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity;

impl EventTransformer for Identity {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new("identity").unwrap_or_else(|_| unreachable!("a valid literal"))
    }

    fn handles(&self, _schema: &Schema) -> bool {
        false
    }

    fn transform(
        &self,
        _event: &Event,
        _context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        Ok(Transformed::Unchanged)
    }
}

impl<T: EventTransformer + ?Sized> EventTransformer for Arc<T> {
    fn fingerprint(&self) -> Fingerprint {
        (**self).fingerprint()
    }

    fn handles(&self, schema: &Schema) -> bool {
        (**self).handles(schema)
    }

    fn retired_schemas(&self) -> BTreeSet<Schema> {
        (**self).retired_schemas()
    }

    fn masks(&self) -> Masks {
        (**self).masks()
    }

    fn includes(&self, earlier: &Fingerprint, retired: &BTreeSet<Schema>) -> bool {
        (**self).includes(earlier, retired)
    }

    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        (**self).transform(event, context)
    }
}
