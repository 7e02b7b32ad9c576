//! Ranges of an object, as the database counts them.

use std::ops::Range;

use bytes::Bytes;
use esm_cells::PART_BYTES;

const PART: u64 = PART_BYTES as u64;

/// A range of a row as `substring` counts: from 1, in 32 bits. A row holds less than 1 GiB, so what
/// does not fit is behind its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InRow {
    pub(super) from: i32,
    pub(super) length: i32,
}

impl InRow {
    pub(super) fn of(range: &Range<u64>) -> Self {
        let from = i32::try_from(range.start.saturating_add(1)).unwrap_or(i32::MAX);
        let length = range.end.saturating_sub(range.start);
        Self {
            from,
            length: i32::try_from(length).unwrap_or(i32::MAX),
        }
    }
}

/// The parts that a range is in: the first and the last, and where in the first it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InParts {
    pub(super) first: i64,
    pub(super) last: i64,
    skipped: u64,
    length: u64,
}

impl InParts {
    pub(super) fn of(range: &Range<u64>) -> Self {
        let number = |at: u64| i64::try_from(at / PART).unwrap_or(i64::MAX);
        Self {
            first: number(range.start),
            last: number(range.end.saturating_sub(1)),
            skipped: range.start % PART,
            length: range.end.saturating_sub(range.start),
        }
    }

    /// Cuts the range out of the parts, as far as they reach.
    pub(super) fn cut(self, parts: Bytes) -> Bytes {
        let at = |place: u64| usize::try_from(place).map_or(parts.len(), |at| at.min(parts.len()));
        let (start, end) = (self.skipped, self.skipped.saturating_add(self.length));
        parts.slice(at(start)..at(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_counted_from_one_and_cut_at_what_a_row_can_hold() {
        let in_row = |range: Range<u64>| {
            let InRow { from, length } = InRow::of(&range);
            (from, length)
        };
        assert_eq!(in_row(0..10), (1, 10));
        assert_eq!(in_row(5..5), (6, 0));
        assert_eq!(in_row(7..u64::MAX), (8, i32::MAX));
        assert_eq!(in_row(u64::MAX..u64::MAX), (i32::MAX, 0));
    }

    #[test]
    fn a_range_over_parts_is_cut_out_of_those_that_it_touches() {
        let whole: Vec<u8> = (0..PART_BYTES * 2 + 100).map(|n| (n % 251) as u8).collect();
        let length = whole.len();
        for range in [
            0..length,
            0..1,
            5..5,
            PART_BYTES - 1..PART_BYTES + 1,
            PART_BYTES..PART_BYTES * 2,
            PART_BYTES * 2 + 50..length + 50,
            length..length + 1,
        ] {
            let found = InParts::of(&(range.start as u64..range.end as u64));
            let bounds = [found.first as usize, found.last as usize + 1];
            let [from, to] = bounds.map(|part| (part * PART_BYTES).min(length));
            let parts = Bytes::copy_from_slice(&whole[from..to.max(from)]);
            let wanted = &whole[range.start.min(length)..range.end.min(length)];
            assert_eq!(found.cut(parts), wanted, "{range:?}");
        }
    }
}
