//! Source revisions of a cell's events, as runs: a cell that was copied one to one has one run.

use esm_core::event::Revision;
use esm_core::store::CellEvent;
use serde::{Deserialize, Serialize};

/// Events in a row whose source revisions are absent, equal, or grow by one.
///
/// In JSON `[first, count]` for growing ones, `[first, count, 0]` for equal ones, `[null, count]`
/// for absent ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Option<u64>>", into = "Vec<Option<u64>>")]
pub(super) struct Run {
    first: Option<u64>,
    count: u64,
    step: u64,
}

impl From<Run> for Vec<Option<u64>> {
    fn from(run: Run) -> Self {
        let mut parts = vec![run.first, Some(run.count)];
        if run.step == 0 {
            parts.push(Some(0));
        }
        parts
    }
}

impl TryFrom<Vec<Option<u64>>> for Run {
    type Error = &'static str;

    fn try_from(parts: Vec<Option<u64>>) -> Result<Self, &'static str> {
        let (first, count, step) = match parts[..] {
            [first, Some(count)] => (first, count, 1),
            [Some(first), Some(count), Some(0)] => (Some(first), count, 0),
            _ => return Err("run of source revisions has another form"),
        };
        let last = first.map_or(Some(0), |first| {
            first.checked_add(count.saturating_sub(1) * step)
        });
        match (count, last) {
            (1.., Some(_)) => Ok(Self { first, count, step }),
            _ => Err("run of source revisions is empty or goes beyond 64 bits"),
        }
    }
}

impl Run {
    /// Takes the next source revision in, if it continues this run.
    fn take(&mut self, next: Option<u64>) -> bool {
        let goes_on = match (self.first, next) {
            (None, None) => true,
            (Some(first), Some(next)) if self.count == 1 && next == first => {
                self.step = 0;
                true
            }
            (Some(first), Some(next)) => first.checked_add(self.count * self.step) == Some(next),
            _ => false,
        };
        self.count += u64::from(goes_on);
        goes_on
    }
}

/// The runs of these events; none if no event has a source revision.
pub(super) fn compress(events: &[CellEvent]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    if events.iter().all(|e| e.source_revision.is_none()) {
        return runs;
    }
    for event in events {
        let next = event.source_revision.map(|r| r.0);
        if !runs.last_mut().is_some_and(|run| run.take(next)) {
            runs.push(Run {
                first: next,
                count: 1,
                step: 1,
            });
        }
    }
    runs
}

/// Number of events in the runs, unless it goes beyond 64 bits.
pub(super) fn count(runs: &[Run]) -> Option<u64> {
    runs.iter()
        .try_fold(0_u64, |sum, run| sum.checked_add(run.count))
}

/// The source revisions, one per event, one after the other.
pub(super) fn expand(runs: &[Run]) -> impl Iterator<Item = Option<Revision>> {
    runs.iter().flat_map(|run| {
        let nth = |n: u64| run.first.map(|first| Revision(first + n * run.step));
        (0..run.count).map(nth)
    })
}
