//! Versioned records as numbered objects, each created only if absent.

mod envelope;
mod list;
mod recent;
mod versions;

pub(crate) use versions::ObjectRecords;
