//! Options of copying and of migrating several objects.

use serde::{Deserialize, Serialize};

/// What to do when an object of several fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Finish what is under way, begin nothing more.
    #[default]
    Stop,
    /// Continue with the others; the report names the failures, and the migration fails as a whole.
    Continue,
}

/// How events are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CopyOptions {
    /// Most events in a target cell. A source of up to 4,096 events is copied into cells of 512, a longer
    /// one into at least eight cells. A source event's outputs stay together all the same.
    pub cell_events: usize,
    /// Most bytes in a target cell, uncompressed, as far as one source event's outputs allow.
    pub cell_bytes: u64,
    /// Whether to stop at the first event that fails. If not, failures are collected to the end of
    /// the stream, and then it stops all the same.
    pub fail_fast: bool,
    /// Most source events that are left to copy and compare when the source is to be closed. A
    /// larger lag is reduced first, while writers continue.
    #[serde(default = "final_round", skip_serializing_if = "is_final_round")]
    pub final_round: u64,
}

fn final_round() -> u64 {
    1024
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde wants"
)]
fn is_final_round(events: &u64) -> bool {
    *events == final_round()
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            cell_events: 4096,
            cell_bytes: 1 << 20,
            fail_fast: true,
            final_round: final_round(),
        }
    }
}

/// Events of a cell that costs little to read for one event, however short the stream.
const SHORT_CELL: u64 = 512;

/// Cells that a copy has at least, until they are as large as they may be.
const FEW_CELLS: u64 = 8;

/// Returns how many events a cell may have in a copy of a stream with this many, of at most this many.
///
/// Cells are written one after the other, so a long copy takes as long as it has cells. Who reads one
/// event reads its cell. So a cell has 512 events, or an eighth of a longer stream.
pub(crate) fn cell_events(most: u64, events: u64) -> u64 {
    events.div_ceil(FEW_CELLS).max(SHORT_CELL).min(most)
}

/// How several objects are migrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BulkOptions {
    /// How many objects are worked on at the same time.
    pub concurrency: usize,
    /// How many objects share a journal record, a backup and an archive.
    pub batch_objects: usize,
    /// What to do when one fails.
    pub on_failure: OnFailure,
}

impl Default for BulkOptions {
    fn default() -> Self {
        Self {
            concurrency: 16,
            batch_objects: 256,
            on_failure: OnFailure::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_stream_is_copied_into_larger_cells() {
        let cases = [(0, 512), (4_096, 512), (20_992, 2_624), (1_000_000, 4_096)];
        for (events, expected) in cases {
            assert_eq!(cell_events(4_096, events), expected, "{events}");
        }
        assert_eq!(cell_events(9, 1_000_000), 9);
    }
}
