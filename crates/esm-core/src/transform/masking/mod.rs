//! Masking of personal data: what pseudonyms are made with, dates that say less, and a transformer
//! that applies both to fields of JSON payloads; which fields a transformation masks, and which have
//! the same values and are not masked.

mod date;
mod fields;
mod key;
mod masks;
mod survey;
mod transformer;

pub use date::DateUnit;
pub use key::MaskingKey;
pub use masks::{MaskKind, Masks};
pub(crate) use survey::MaskingSurvey;
pub use survey::{AlikeField, MaskedField, MaskingFindings};
pub use transformer::Masking;
