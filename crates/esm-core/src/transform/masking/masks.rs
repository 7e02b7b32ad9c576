//! How a transformation masks values, as it declares itself.

use std::collections::{BTreeSet, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::date::DateUnit;
use super::key::MaskingKey;

/// How a value is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MaskKind {
    /// The field is removed.
    Removed,
    /// Another value, the same for all events, is in its place.
    Replaced,
    /// Its pseudonym is in its place.
    Pseudonym,
    /// A date or a time of which less is said.
    Date,
    /// A part of the text.
    Truncated,
}

impl MaskKind {
    /// Its name, as JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Replaced => "replaced",
            Self::Pseudonym => "pseudonym",
            Self::Date => "date",
            Self::Truncated => "truncated",
        }
    }
}

/// How a transformation masks values. A plan looks for fields that are masked in these ways.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Masks {
    /// The ways, but for values that are replaced.
    pub kinds: BTreeSet<MaskKind>,
    /// The values, as compact JSON, that are put in the place of others.
    pub replacements: BTreeSet<String>,
    /// Whether the values are personal, so that the samples of a plan do not show them.
    pub personal: bool,
}

impl Masks {
    /// Whether nothing is masked.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.replacements.is_empty()
    }

    /// Adds those of another part of the transformation.
    pub fn add(&mut self, other: Self) {
        self.kinds.extend(other.kinds);
        self.replacements.extend(other.replacements);
        self.personal |= other.personal;
    }

    /// Adds that values are replaced by this one. One that is neither text nor number leaves nothing.
    pub fn add_replacement(&mut self, value: impl Into<Value>) {
        match value.into() {
            value @ (Value::String(_) | Value::Number(_)) => {
                self.replacements.insert(value.to_string());
            }
            _ => {
                self.kinds.insert(MaskKind::Removed);
            }
        }
    }

    /// How a value was masked that is gone from its field, by what is in its place; `None` if in no
    /// declared way.
    pub(super) fn kind(&self, before: &str, place: Option<&InItsPlace<'_>>) -> Option<MaskKind> {
        let Some(place) = place else {
            let removed = self.kinds.contains(&MaskKind::Removed);
            return removed.then_some(MaskKind::Removed);
        };
        let is_less = |text: &&str| text.len() < before.len() && before.contains(*text);
        if place.has_pseudonym {
            Some(MaskKind::Pseudonym)
        } else if self.kinds.contains(&MaskKind::Date) && place.has_floor(before) {
            Some(MaskKind::Date)
        } else if place.beginnings.iter().any(is_less) {
            Some(MaskKind::Truncated)
        } else if place.has_replacement {
            Some(MaskKind::Replaced)
        } else {
            None
        }
    }
}

/// Parts of texts that are looked for in the value that they may be a part of.
const PARTS: usize = 16;

/// What the outputs have in the place of a value: of all values of a long array, what each is compared
/// with is found once.
#[derive(Debug, Default)]
pub(super) struct InItsPlace<'l> {
    has_pseudonym: bool,
    has_replacement: bool,
    /// Texts of which one may be a date that says less.
    dates: HashSet<&'l str>,
    /// Some texts of which one may be a part of the value.
    beginnings: Vec<&'l str>,
}

impl<'l> InItsPlace<'l> {
    /// Adds a value that is there; `json` as compact JSON.
    pub(super) fn add(&mut self, masks: &Masks, text: &'l str, json: impl FnOnce() -> String) {
        let declares = |kind| masks.kinds.contains(&kind);
        self.has_pseudonym |= declares(MaskKind::Pseudonym) && MaskingKey::is_pseudonym(text);
        if declares(MaskKind::Date) {
            self.dates.insert(text);
        }
        if declares(MaskKind::Truncated) && !text.is_empty() && self.beginnings.len() < PARTS {
            self.beginnings.push(text);
        }
        if !masks.replacements.is_empty() {
            self.has_replacement |= masks.replacements.contains(&json());
        }
    }

    fn has_floor(&self, before: &str) -> bool {
        let floors = DateUnit::ALL.iter().filter_map(|unit| unit.floor(before));
        floors.into_iter().any(|floor| self.dates.contains(&*floor))
    }
}
