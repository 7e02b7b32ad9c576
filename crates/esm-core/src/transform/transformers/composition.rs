//! What transformers made of transformers share: a composed identity, and events on their way
//! through several of them.

use std::sync::Arc;

use crate::event::Event;
use crate::id::Fingerprint;
use crate::transform::{EventTransformer, Mapper, Masks, TransformError, Transformed};

/// The identity of something made of these parts, in this order. Of one length, however many parts.
pub(crate) fn composed_fingerprint<'a>(
    kind: &str,
    parts: impl IntoIterator<Item = &'a str>,
) -> Fingerprint {
    let mut hash = blake3::Hasher::new_derive_key("esm composed fingerprint v1");
    for part in parts {
        // the length in front keeps "ab","c" apart from "a","bc"
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    Fingerprint::new(format!("{kind}:{}", hash.finalize().to_hex()))
        .unwrap_or_else(|_| unreachable!("a short word and a hash"))
}

/// How several transformers mask values.
pub(super) fn all_masks<'a>(
    parts: impl IntoIterator<Item = &'a Arc<dyn EventTransformer>>,
) -> Masks {
    let mut masks = Masks::default();
    parts.into_iter().for_each(|part| masks.add(part.masks()));
    masks
}

/// What has become of a source event so far.
#[derive(Debug)]
pub(super) struct Flow<'a> {
    source: &'a Event,
    /// Absent as long as the source event is unchanged.
    outputs: Option<Vec<Event>>,
    /// The rule that dropped an output last.
    rule: Option<String>,
}

impl<'a> Flow<'a> {
    pub(super) fn new(source: &'a Event) -> Self {
        Self {
            source,
            outputs: None,
            rule: None,
        }
    }

    /// Whether anything has happened to the event.
    pub(super) fn is_changed(&self) -> bool {
        self.outputs.is_some()
    }

    /// Whether every output was dropped, so that nothing is left to transform.
    pub(super) fn is_over(&self) -> bool {
        self.outputs.as_ref().is_some_and(Vec::is_empty)
    }

    /// Hands over everything that is left, in order.
    pub(super) fn through(
        &mut self,
        mut apply: impl FnMut(&Event) -> Result<Transformed, TransformError>,
    ) -> Result<(), TransformError> {
        let Some(events) = self.outputs.take() else {
            let transformed = apply(self.source)?;
            if transformed != Transformed::Unchanged {
                let mut outputs = Vec::new();
                self.collect(transformed, None, &mut outputs);
                self.outputs = Some(outputs);
            }
            return Ok(());
        };
        let mut outputs = Vec::with_capacity(events.len());
        for event in events {
            let transformed = apply(&event)?;
            self.collect(transformed, Some(event), &mut outputs);
        }
        self.outputs = Some(outputs);
        Ok(())
    }

    fn collect(&mut self, transformed: Transformed, event: Option<Event>, into: &mut Vec<Event>) {
        match transformed {
            Transformed::Unchanged => into.extend(event),
            Transformed::Dropped { rule } => self.rule = Some(rule),
            Transformed::Events(events) if events.is_empty() => {
                self.rule = Some(Mapper::EMPTY.to_owned());
            }
            Transformed::Events(events) => into.extend(events),
        }
    }

    pub(super) fn finish(self) -> Transformed {
        match self.outputs {
            None => Transformed::Unchanged,
            Some(outputs) if outputs.is_empty() => Transformed::Dropped {
                rule: self.rule.unwrap_or_else(|| Mapper::EMPTY.to_owned()),
            },
            Some(outputs) => Transformed::Events(outputs),
        }
    }
}
