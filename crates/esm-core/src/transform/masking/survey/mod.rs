//! Which fields are masked, and which have the same values and are not.

mod findings;
mod leaves;
mod observed;
mod samples;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use findings::{AlikeField, MaskedField, MaskingFindings};
use observed::{Kept, Masked, Observed};

use super::masks::{MaskKind, Masks};
use crate::event::{Event, Schema};
use crate::id::ObjectId;
use crate::transform::{EventSample, Mapped};

/// Values that are remembered, of masked fields and of others each. A power of two.
const VALUES: usize = 1 << 17;
/// Fields that are known.
const FIELDS: usize = 4_096;
/// Fields of each list that are named.
const NAMED: usize = 100;

/// Observes what is masked, from several threads, with memory that does not grow with the number of
/// events.
#[derive(Debug)]
pub(crate) struct MaskingSurvey {
    masks: Masks,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    fields: BTreeMap<(Schema, Arc<str>), MaskedCount>,
    /// Numbers of the fields that are not masked.
    numbers: HashMap<(Schema, Arc<str>), u32>,
    kept: Vec<(Schema, Arc<str>, u64)>,
    /// Hashes of masked values, each in the place that it names: the newest one stays. 0 is none.
    masked_values: Vec<u64>,
    /// The same of values of other fields, with the number of the field.
    kept_values: Vec<(u64, u32)>,
    incomplete: bool,
}

#[derive(Debug, Default)]
struct MaskedCount {
    masks: BTreeSet<MaskKind>,
    values: u64,
}

impl MaskingSurvey {
    /// Observes a transformation; `None` if it masks nothing.
    pub(crate) fn of(masks: Masks) -> Option<Self> {
        (!masks.is_empty()).then(|| Self {
            masks,
            counts: Mutex::new(Counts {
                fields: BTreeMap::new(),
                numbers: HashMap::new(),
                kept: Vec::new(),
                masked_values: vec![0; VALUES],
                kept_values: vec![(0, 0); VALUES],
                incomplete: false,
            }),
        })
    }

    /// Observes what became of an event.
    pub(crate) fn record(&self, object: &ObjectId, event: &Event, mapped: &Mapped) {
        let observed = Observed::of(&self.masks, object, event, mapped);
        let mut counts = self.counts();
        counts.incomplete |= observed.incomplete;
        let schema = event.schema();
        for masked in observed.masked {
            counts.mask(&schema, masked);
        }
        for kept in observed.kept {
            counts.keep(kept);
        }
    }

    /// What was observed.
    pub(crate) fn findings(&self) -> MaskingFindings {
        self.counts().findings()
    }

    /// Removes the values that are masked from a sample, if they are personal.
    pub(crate) fn hide(&self, sample: &mut EventSample) {
        if self.masks.personal {
            self.counts().hide(sample);
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn mask(&mut self, schema: &Schema, masked: Masked) {
        let key = (schema.clone(), masked.field);
        if self.fields.len() < FIELDS || self.fields.contains_key(&key) {
            let count = self.fields.entry(key).or_default();
            count.masks.insert(masked.kind);
            count.values += 1;
        } else {
            self.incomplete = true;
        }
        let Some(hash) = masked.hash else {
            return;
        };
        let place = place(hash);
        if self.masked_values[place] == hash {
            return;
        }
        self.masked_values[place] = hash;
        let (kept, field) = self.kept_values[place];
        if kept == hash {
            self.kept[field as usize].2 += 1;
        }
    }

    fn keep(&mut self, kept: Kept) {
        for (field, hash) in kept.values {
            let Some(field) = self.number(&kept.schema, field) else {
                self.incomplete = true;
                continue;
            };
            let place = place(hash);
            if self.masked_values[place] == hash {
                self.kept[field as usize].2 += 1;
            } else {
                self.kept_values[place] = (hash, field);
            }
        }
    }

    /// The number of a field that is not masked; `None` if too many are known.
    fn number(&mut self, schema: &Schema, field: Arc<str>) -> Option<u32> {
        let key = (schema.clone(), field);
        if let Some(number) = self.numbers.get(&key) {
            return Some(*number);
        }
        let number = u32::try_from(self.kept.len()).ok()?;
        if self.kept.len() == FIELDS {
            return None;
        }
        self.kept.push((key.0.clone(), Arc::clone(&key.1), 0));
        self.numbers.insert(key, number);
        Some(number)
    }

    fn findings(&self) -> MaskingFindings {
        let masked = self.fields.iter();
        let mut fields: Vec<_> = masked
            .map(|((schema, field), count)| MaskedField {
                schema: schema.clone(),
                field: field.to_string(),
                masks: count.masks.clone(),
                values: count.values,
            })
            .collect();
        let alike = self.kept.iter().filter(|(.., values)| *values > 0);
        let mut alike: Vec<_> = alike
            .map(|(schema, field, values)| AlikeField {
                schema: schema.clone(),
                field: field.to_string(),
                values: *values,
            })
            .collect();
        alike.sort_by(|a, b| (&a.schema, &a.field).cmp(&(&b.schema, &b.field)));
        let known = [fields.len(), alike.len()];
        let omitted = known.map(|known| known.saturating_sub(NAMED) as u64);
        fields.truncate(NAMED);
        alike.truncate(NAMED);
        MaskingFindings {
            fields,
            alike,
            omitted: omitted.iter().sum(),
            incomplete: self.incomplete,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder is smaller than the number of places"
)]
fn place(hash: u64) -> usize {
    (hash % VALUES as u64) as usize
}
