//! Masking of personal data: what pseudonyms are made with, dates that say less, and a transformer
//! that applies both to fields of JSON payloads.

mod date;
mod fields;
mod key;
mod transformer;

pub use date::DateUnit;
pub use key::MaskingKey;
pub use transformer::Masking;
