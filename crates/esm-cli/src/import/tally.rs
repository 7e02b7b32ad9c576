//! The counts of an import.

use serde::Serialize;

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    /// Events read.
    pub(crate) events: u64,
    /// Objects of these events.
    pub(crate) objects: u64,
    /// Events written.
    pub(crate) imported: u64,
    /// Events that the store had already, equal to those read.
    pub(crate) present: u64,
    /// Records of which a map made no event.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) skipped: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
