//! Which cells a native position is between: pure arithmetic.

use esm_core::event::Revision;
use esm_core::id::{CommitId, StreamId};
use esm_core::store::{CellHeader, CellKind};

/// A place between two cells, as counts of what precedes it. Defaults to the beginning of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// Number of native entries.
    pub(super) position: u64,
    /// Number of cells.
    pub(super) seq: u64,
    /// Number of events.
    pub(super) revision: Revision,
    /// The commit id of the cell before.
    pub(super) previous: Option<CommitId>,
    /// The last control cell.
    pub(super) last_control: Option<u64>,
}

/// Number of native entries of a cell: one for each event, or one for what has none.
pub(super) fn entries_of(header: &CellHeader) -> u64 {
    header.count.max(1)
}

impl Place {
    /// The place behind a cell that begins at this native position.
    pub(super) fn after(position: u64, header: &CellHeader) -> Self {
        Self {
            position: position + entries_of(header),
            seq: header.seq + 1,
            revision: header.next_revision(),
            previous: Some(header.commit),
            last_control: header.control_so_far(),
        }
    }

    /// The place this many entries later, if an application wrote all of them without esm, the last
    /// of them with this commit id.
    pub(super) fn along(self, entries: u64, last: Option<CommitId>) -> Self {
        Self {
            position: self.position + entries,
            seq: self.seq + entries,
            revision: self.revision.plus(entries),
            previous: if entries == 0 { self.previous } else { last },
            last_control: self.last_control,
        }
    }

    /// The header of a data cell here that is one event without a mark.
    pub(super) fn native_header(&self, commit: CommitId) -> CellHeader {
        CellHeader {
            seq: self.seq,
            first_revision: self.revision,
            count: 1,
            commit,
            previous: self.previous,
            last_control: self.last_control,
            kind: CellKind::Data {
                origin: None,
                cursor: None,
            },
        }
    }

    /// Whether a cell with this header can begin here.
    pub(super) fn precedes(&self, header: &CellHeader) -> bool {
        header.seq == self.seq
            && header.first_revision == self.revision
            && header.previous == self.previous
            && header.last_control == self.last_control
    }
}

/// The commit id of an entry that an application wrote without esm: the same for every reader.
pub(super) fn native_commit(stream: &StreamId, position: u64, event: &str) -> CommitId {
    let mut hash = blake3::Hasher::new_derive_key("esm native commit v1");
    hash.update(&position.to_be_bytes());
    hash.update(&(stream.as_str().len() as u64).to_be_bytes());
    hash.update(stream.as_str().as_bytes());
    hash.update(event.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    CommitId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_moves_along_native_entries_and_over_cells() {
        let stream = StreamId::new("order-1").unwrap();
        let commit = |n| native_commit(&stream, n, "e");
        let five = Place::default().along(5, Some(commit(4)));
        assert_eq!(
            (five.position, five.seq, five.revision),
            (5, 5, Revision(5))
        );
        assert_eq!(five.previous, Some(commit(4)));
        assert_eq!(five.along(0, None), five);
        let header = five.native_header(commit(5));
        assert!(five.precedes(&header));
        assert_eq!(Place::after(5, &header), five.along(1, Some(commit(5))));
        let eventless = CellHeader { count: 0, ..header };
        let after = Place::after(5, &eventless);
        assert_eq!(
            (after.position, after.seq, after.revision),
            (6, 6, Revision(5))
        );
    }

    #[test]
    fn native_commits_are_the_same_for_all_and_differ_by_stream_position_and_event() {
        let (a, b) = (StreamId::new("a").unwrap(), StreamId::new("b").unwrap());
        let all = [
            native_commit(&a, 0, "e"),
            native_commit(&b, 0, "e"),
            native_commit(&a, 1, "e"),
            native_commit(&a, 0, "f"),
        ];
        assert_eq!(native_commit(&a, 0, "e"), all[0]);
        let distinct: std::collections::BTreeSet<_> = all.into_iter().collect();
        assert_eq!(distinct.len(), 4);
        assert_eq!(all[0].to_string(), "6b3b56b7-39ea-8ce7-a0e4-cdcd46e31028");
    }
}
