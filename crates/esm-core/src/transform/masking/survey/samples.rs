//! Samples without the values that are masked.

use std::collections::HashSet;

use super::leaves::{Leaf, LeafKind, Leaves, hidden};
use super::observed::hash;
use super::{Counts, place};
use crate::event::{Metadata, MetadataValue};
use crate::id::EventId;
use crate::transform::{EventSample, SampledEvent};

/// What samples have in the place of values that are masked.
pub(super) const HIDDEN: &str = "(masked)";
/// Texts from this many characters are looked for within others.
const CONTAINED: usize = 4;

impl Counts {
    /// Hides values of a sample. Of the event, only what an output has too in the same field is shown,
    /// because a transformation may mask in ways that are not known; of the outputs, nothing that has a
    /// hidden value within. Nowhere is a value shown that is masked in another event. If the event
    /// cannot be read, because it is cut or no JSON, no value of its outputs is shown.
    pub(super) fn hide(&self, sample: &mut EventSample) {
        let is_empty = sample.before.payload.as_deref() == Some("");
        let had = values(&sample.before);
        let has: HashSet<Leaf> = sample.after.iter().flat_map(values).collect();
        let gone: HashSet<String> = (had.into_iter())
            .filter(|leaf| leaf.kind != LeafKind::Bool && !has.contains(leaf))
            .map(|leaf| leaf.text)
            .collect();
        let within: Vec<&str> = (gone.iter().map(String::as_str))
            .filter(|text| text.chars().nth(CONTAINED - 1).is_some())
            .collect();
        let is_masked = |leaf: &Leaf| leaf.kind != LeafKind::Bool && self.is_masked(&leaf.text);
        hide_in(&mut sample.before, |leaf| {
            !has.contains(leaf) || is_masked(leaf)
        });
        let is_read = is_empty || sample.before.payload.is_some();
        for event in &mut sample.after {
            hide_in(event, |leaf| {
                !is_read
                    || gone.contains(&leaf.text)
                    || within.iter().any(|text| leaf.text.contains(text))
                    || is_masked(leaf)
            });
        }
    }

    fn is_masked(&self, text: &str) -> bool {
        let hash = hash(text);
        self.masked_values[place(hash)] == hash
    }
}

/// The values of an event: of its payload, its metadata and its id.
fn values(event: &SampledEvent) -> Vec<Leaf> {
    let payload = event.payload.as_deref().unwrap_or_default();
    let mut values = Leaves::of(payload.as_bytes()).all;
    let metadata = event.metadata.iter();
    values.extend(metadata.map(|(name, value)| attribute(name, value)));
    values.push(id(event));
    values
}

fn id(event: &SampledEvent) -> Leaf {
    attribute("id", &MetadataValue::Text(event.id.to_string()))
}

fn attribute(name: &str, value: &MetadataValue) -> Leaf {
    let (kind, text) = match value {
        MetadataValue::Text(text) => (LeafKind::Text, text.clone()),
        MetadataValue::Integer(number) => (LeafKind::Number, number.to_string()),
        MetadataValue::Boolean(truth) => (LeafKind::Bool, truth.to_string()),
    };
    let field = format!(".{name}").into();
    Leaf { field, kind, text }
}

fn hide_in(event: &mut SampledEvent, hides: impl Fn(&Leaf) -> bool) {
    event.payload = match event.payload.take() {
        Some(payload) if !event.cut => hidden(&payload, &hides, HIDDEN),
        // a part of a payload is no JSON
        _ => None,
    };
    let mut metadata = Metadata::new();
    for (name, value) in event.metadata.iter() {
        let value = if hides(&attribute(name, value)) {
            HIDDEN.into()
        } else {
            value.clone()
        };
        // it was valid under this name
        drop(metadata.insert(name, value));
    }
    event.metadata = metadata;
    if hides(&id(event))
        && let Ok(id) = EventId::new(HIDDEN)
    {
        event.id = id;
    }
}
