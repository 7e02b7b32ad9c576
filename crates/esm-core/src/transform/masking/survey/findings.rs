//! What a plan says of masked values.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::Schema;
use crate::transform::masking::masks::MaskKind;

/// A field that a transformation masks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskedField {
    /// The schema of the source events.
    #[serde(flatten)]
    pub schema: Schema,
    /// The field, as jq names it: `.data.items[].email`.
    pub field: String,
    /// How it is masked.
    pub masks: BTreeSet<MaskKind>,
    /// Number of values that are masked.
    pub values: u64,
}

/// A field that is not masked, and has values that are masked elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlikeField {
    /// The schema of the events, as they are stored.
    #[serde(flatten)]
    pub schema: Schema,
    /// The field, as jq names it.
    pub field: String,
    /// Number of such values that were seen.
    pub values: u64,
}

/// What a plan says of masked values. No value is in it.
///
/// # Limits
/// Each list has at most 100 fields. Of the values that were masked, and of the others, about 100,000
/// are remembered, the newest: a field that has no such value in all its events may be missing in
/// `alike`. Texts of fewer than 4 characters and numbers of fewer than 6 digits are not compared. Of an
/// event, 50,000 values are compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MaskingFindings {
    /// The fields that are masked.
    #[serde(default)]
    pub fields: Vec<MaskedField>,
    /// The fields of kept events that have the same values and are not masked.
    #[serde(default)]
    pub alike: Vec<AlikeField>,
    /// Number of fields that are known and not named, because there are too many.
    #[serde(default)]
    pub omitted: u64,
    /// Whether there are fields or values that were not compared, because there are too many.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

impl MaskingFindings {
    /// Whether nothing is masked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
