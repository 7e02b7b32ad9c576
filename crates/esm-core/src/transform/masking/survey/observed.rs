//! What one event and its outputs say of masked values.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use super::leaves::{Leaf, Leaves};
use crate::event::{Event, MetadataValue, Schema};
use crate::id::ObjectId;
use crate::transform::masking::masks::{InItsPlace, MaskKind, Masks};
use crate::transform::{Fate, Mapped};

/// A value of a field; without a hash, it is not compared with others.
#[derive(Debug)]
pub(super) struct Masked {
    pub(super) field: Arc<str>,
    pub(super) kind: MaskKind,
    pub(super) hash: Option<u64>,
}

/// The values of an event that is kept, and are not masked: field and hash.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) schema: Schema,
    pub(super) values: Vec<(Arc<str>, u64)>,
}

/// What an event says. Its size is bounded by that of the event.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) masked: Vec<Masked>,
    pub(super) kept: Vec<Kept>,
    /// Whether there are values that were not read.
    pub(super) incomplete: bool,
}

impl Observed {
    pub(super) fn of(masks: &Masks, object: &ObjectId, event: &Event, mapped: &Mapped) -> Self {
        let mut observed = Self::default();
        match mapped.fate {
            // of a dropped event nothing is left
            Fate::Dropped { .. } => {}
            Fate::Unchanged => {
                let leaves = observed.leaves(event);
                observed.keep(object, event, leaves.all.iter());
            }
            Fate::Changed | Fate::Split => observed.compare(masks, object, event, &mapped.outputs),
        }
        observed
    }

    fn leaves(&mut self, event: &Event) -> Leaves {
        if !event.is_json() {
            return Leaves::default();
        }
        let leaves = Leaves::of(&event.payload);
        self.incomplete |= leaves.incomplete;
        leaves
    }

    fn compare(&mut self, masks: &Masks, object: &ObjectId, event: &Event, outputs: &[Event]) {
        let before = self.leaves(event);
        let after: Vec<Leaves> = outputs.iter().map(|output| self.leaves(output)).collect();
        let had: HashSet<&Leaf> = before.all.iter().collect();
        let has: HashSet<&Leaf> = after.iter().flat_map(|leaves| &leaves.all).collect();
        // a value that is in a new place was moved there
        let moved: HashSet<&str> = (has.iter())
            .filter(|leaf| !had.contains(*leaf))
            .map(|leaf| leaf.text.as_str())
            .collect();
        let mut places: HashMap<&str, InItsPlace<'_>> = HashMap::new();
        for leaf in after.iter().flat_map(|leaves| &leaves.all) {
            let place = places.entry(&leaf.field).or_default();
            place.add(masks, &leaf.text, || leaf.json());
        }
        let mut masked = HashSet::new();
        for leaf in &before.all {
            if has.contains(leaf) || moved.contains(leaf.text.as_str()) {
                continue;
            }
            // an object may have become a text
            let place = with_outer(&leaf.field).find_map(|field| places.get(field));
            if let Some(kind) = masks.kind(&leaf.text, place) {
                masked.insert(&*leaf.field);
                self.masked.push(Masked {
                    field: Arc::clone(&leaf.field),
                    kind,
                    hash: leaf.is_telling().then(|| hash(&leaf.text)),
                });
            }
        }
        for (output, leaves) in outputs.iter().zip(&after) {
            let others = leaves.all.iter().filter(|l| !masked.contains(&*l.field));
            self.keep(object, output, others);
        }
    }

    /// Adds what is kept of an event.
    fn keep<'l>(
        &mut self,
        object: &ObjectId,
        event: &Event,
        leaves: impl Iterator<Item = &'l Leaf>,
    ) {
        let leaves = leaves.filter(|leaf| leaf.is_telling());
        let leaves = leaves.map(|leaf| (Arc::clone(&leaf.field), hash(&leaf.text)));
        let mut values: Vec<_> = leaves.collect();
        let mut attribute = |name: &str, text: &str| {
            if text.chars().nth(3).is_some() {
                values.push((format!(".{name}").into(), hash(text)));
            }
        };
        attribute("id", event.id.as_str());
        attribute("subject", object.key().as_str());
        for (name, value) in event.metadata.iter() {
            if let MetadataValue::Text(text) = value {
                attribute(name, text);
            }
        }
        let schema = event.schema();
        self.kept.push(Kept { schema, values });
    }
}

/// A field, and those around it, from the inside out.
fn with_outer(field: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(field), |field| {
        field.rfind(['.', '[']).map(|end| &field[..end])
    })
}

/// A hash of a text; never 0.
pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish().max(1)
}
