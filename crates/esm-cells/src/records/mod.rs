//! Versioned records as numbered objects, each created only if absent.

mod envelope;
mod list;
mod recent;
mod versions;

pub(crate) use envelope::key_of_version;
pub use envelope::{RecordVersion, encode as encode_version, split_first as split_version};
pub(crate) use versions::ObjectRecords;
