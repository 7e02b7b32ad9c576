//! The versions of a migration's published progress, thinned out.
//!
//! Versions never change, so each is read once. At most 128 are kept: as the run grows, every second
//! one of them is left out. A load reads a few, those far apart first, so a chart is rough at once and
//! fine after some seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use esm_core::id::MigrationId;
use esm_core::migration::{MigrationService, Progress};
use esm_core::{ErrorKind, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

/// Versions that are kept.
const KEPT: u64 = 128;
/// Versions that a load reads.
const READ: usize = 16;
/// Of them, those that are read at once.
const AT_ONCE: usize = 8;

/// A point of the history.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) at: Timestamp,
    pub(crate) elapsed: Duration,
    pub(crate) events_per_second: u64,
    pub(crate) bytes_per_second: u64,
    pub(crate) percent: Option<u8>,
    pub(crate) lag: Option<u64>,
}

impl Point {
    fn of(progress: &Progress) -> Self {
        Self {
            at: progress.at,
            elapsed: progress.elapsed,
            events_per_second: progress.events_per_second,
            bytes_per_second: progress.bytes_per_second,
            percent: progress.percent,
            lag: progress.lag,
        }
    }
}

/// The history of a migration, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) points: Vec<Point>,
    /// Whether versions of it are still to be read.
    pub(crate) is_rough: bool,
}

/// The points that were read so far.
#[derive(Debug, Default)]
pub(crate) struct HistoryLoad {
    points: BTreeMap<u64, Option<Point>>,
}

impl HistoryLoad {
    /// Reads a few more points.
    ///
    /// # Errors
    /// Those of the records.
    pub(crate) async fn load(
        &mut self,
        service: &MigrationService,
        migration: MigrationId,
    ) -> Result<History> {
        let newest = match service.published_progress(migration, None).await {
            Ok(Some((number, progress))) => (number, Point::of(&progress)),
            Ok(None) => return Ok(History::default()),
            // damaged, or of a newer version: it only informs
            Err(error) if *error.kind() == ErrorKind::Corrupt => return Ok(History::default()),
            Err(error) => return Err(error),
        };
        let stride = stride(newest.0);
        self.points.retain(|number, _| number % stride == 0);
        let missing = missing(newest.0, stride, &self.points);
        let read = futures::stream::iter(missing.iter().take(READ).copied().map(|number| {
            let point = point(service, migration, number);
            async move { point.await.map(|point| (number, point)) }
        }));
        let read: Vec<_> = read.buffered(AT_ONCE).try_collect().await?;
        self.points.extend(read);
        let points = self.points.values().flatten().cloned();
        let mut points: Vec<_> = points.filter(|point| point.at < newest.1.at).collect();
        points.push(newest.1);
        Ok(History {
            points,
            is_rough: missing.len() > READ,
        })
    }
}

/// The distance of the versions that are kept: a power of two.
fn stride(newest: u64) -> u64 {
    (newest / KEPT + 1).next_power_of_two()
}

/// The versions that are to be read, those far apart first.
fn missing(newest: u64, stride: u64, known: &BTreeMap<u64, Option<Point>>) -> Vec<u64> {
    let wanted = (0..=newest).step_by(usize::try_from(stride).unwrap_or(usize::MAX));
    let mut missing: Vec<_> = wanted.filter(|n| !known.contains_key(n)).collect();
    missing.sort_by_key(|number| std::cmp::Reverse(number.trailing_zeros()));
    missing
}

/// A version; nothing where it is damaged.
async fn point(
    service: &MigrationService,
    migration: MigrationId,
    number: u64,
) -> Result<Option<Point>> {
    match service.published_progress(migration, Some(number)).await {
        Ok(found) => Ok(found.map(|(_, progress)| Point::of(&progress))),
        Err(error) if *error.kind() == ErrorKind::Corrupt => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_versions_are_kept_of_any_number_and_those_far_apart_come_first() {
        for newest in [0, 1, 127, 128, 1_000, 1 << 24] {
            let stride = stride(newest);
            let wanted = missing(newest, stride, &BTreeMap::new());
            assert!(
                wanted.len() as u64 <= KEPT + 1,
                "{newest}: {}",
                wanted.len()
            );
            assert!(wanted.len() as u64 > newest.min(KEPT) / 2, "{newest}");
        }
        assert_eq!(missing(8, 1, &BTreeMap::new())[..4], [0, 8, 4, 2]);
        let known = BTreeMap::from([(0, None), (4, None)]);
        assert_eq!(missing(5, 2, &known), [2]);
    }
}
