//! Publishes the progress of a run to other processes.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::{debug, trace};

use crate::cutover::meter::Meter;
use crate::error::{Error, ErrorKind, Result};
use crate::id::MigrationId;
use crate::migration::limits::in_flight::Requests;
use crate::migration::limits::throttle::ThrottleReason;
use crate::migration::report::estimate::{Estimate, OptionalPhases, Sample, estimate};
use crate::migration::report::progress::{Progress, Reporter};
use crate::protocol::status::MigrationStatus;
use crate::store::{RecordKey, Records, RecordsExt as _, decode};

/// A progress as stored in its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PublishedProgress {
    format: u32,
    #[serde(flatten)]
    pub(crate) progress: Progress,
}

const FORMAT: u32 = 1;
/// More versions than a migration publishes in a year. A provider that finds every number damaged is
/// not searched any further.
const MOST_VERSIONS: u64 = 1 << 24;

/// The record of a run's progress.
#[derive(Debug)]
pub(crate) struct ProgressRecord {
    records: Arc<dyn Records>,
    key: RecordKey,
    reporter: Arc<Reporter>,
    meter: Arc<Meter>,
    requests: Requests,
    /// The number of the next version; `None` until the first is written.
    next: Option<u64>,
    measured: Option<RateSample>,
    phases: OptionalPhases,
    paused: PausedTime,
}

/// The time that a run was paused.
#[derive(Debug, Default)]
struct PausedTime {
    total: Duration,
    until: Option<Duration>,
}

impl PausedTime {
    fn add(&mut self, now: Duration, rests: bool) {
        let since = self.until.replace(now);
        if let Some(since) = since.filter(|_| rests) {
            self.total += now.saturating_sub(since);
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct RateSample {
    at: Duration,
    events: u64,
    bytes: u64,
    /// Smoothed events per second.
    events_per_second: f64,
    bytes_per_second: f64,
}

impl ProgressRecord {
    pub(crate) fn new(
        records: Arc<dyn Records>,
        migration: MigrationId,
        reporter: Arc<Reporter>,
        meter: Arc<Meter>,
        requests: Requests,
        phases: OptionalPhases,
    ) -> Self {
        Self {
            records,
            key: RecordKey::Progress(migration),
            reporter,
            meter,
            requests,
            next: None,
            measured: None,
            phases,
            paused: PausedTime::default(),
        }
    }

    /// Measures the rates and adds them to the progress. At most `limit` events are read in a second.
    pub(crate) fn measure(&mut self, now: Duration, limit: Option<u64>) {
        let progress = self.reporter.current();
        let (events, bytes) = (
            progress.events_copied + progress.events_verified,
            progress.bytes_copied,
        );
        let measured = match self.measured {
            None => RateSample {
                at: now,
                events,
                bytes,
                events_per_second: 0.0,
                bytes_per_second: 0.0,
            },
            Some(before) => before.then(now, events, bytes),
        };
        self.measured = Some(measured);
        let estimate = self.estimate(now, &progress, limit);
        let stages = self.meter.times();
        let full = self
            .requests
            .is_full()
            .then_some(ThrottleReason::RequestsInFlight);
        self.reporter.update(|p| {
            p.stages = stages;
            p.events_per_second = measured.events_per_second.round() as u64;
            p.bytes_per_second = measured.bytes_per_second.round() as u64;
            if let Some(estimate) = estimate {
                let percent = (100.0 * estimate.done).floor() as u8;
                p.percent = p.percent.max(Some(percent.min(99)));
            }
            if rests(p) {
                p.percent = p.percent.max(read_percent(p));
            }
            p.eta = estimate.filter(|_| !rests(p)).map(|estimate| estimate.left);
            // a reason that is already named takes precedence
            if matches!(
                p.throttled_by,
                None | Some(ThrottleReason::RequestsInFlight)
            ) {
                p.throttled_by = full;
            }
        });
    }

    fn estimate(
        &mut self,
        now: Duration,
        progress: &Progress,
        limit: Option<u64>,
    ) -> Option<Estimate> {
        self.paused.add(now, rests(progress));
        let work = self.meter.work();
        let (totals, spent) = (work.totals()?, work.spent(now)?);
        let sample = Sample {
            working: spent.since_start.saturating_sub(self.paused.total),
            active: spent.active,
            under_way: spent.under_way,
            small: work.small(),
            work: work.phases(),
            totals,
            phases: self.phases,
            events_read: progress.events_analysed
                + progress.events_copied
                + progress.events_verified,
            limit,
        };
        trace!(?sample, "work");
        estimate(&sample)
    }

    /// Publishes the newest progress. A failure is only logged.
    pub(crate) async fn publish(&mut self) {
        if let Err(error) = self.put().await {
            debug!(%error, "progress not published");
            self.next = None;
        }
    }

    /// Publishes the last progress, if one was published before.
    pub(crate) async fn publish_last(&mut self) {
        if self.next.is_some() {
            self.publish().await;
        }
    }

    async fn put(&mut self) -> Result<()> {
        let number = match self.next {
            Some(number) => number,
            None => self.next_number().await?,
        };
        let published = PublishedProgress {
            format: FORMAT,
            progress: self.reporter.current(),
        };
        self.records.put_as(&self.key, number, &published).await?;
        self.next = Some(number + 1);
        Ok(())
    }

    /// The number after the newest version. A damaged version only informed, so it does not keep the
    /// next one from being written.
    async fn next_number(&self) -> Result<u64> {
        let damage = match self.records.latest(&self.key).await {
            Ok(newest) => return Ok(newest.map_or(0, |record| record.number + 1)),
            Err(error) if *error.kind() == ErrorKind::Corrupt => error,
            Err(error) => return Err(error),
        };
        if !self.exists(0).await? {
            return Ok(0);
        }
        let (mut present, mut absent) = (0, 1);
        while self.exists(absent).await? {
            if absent > MOST_VERSIONS {
                return Err(damage);
            }
            (present, absent) = (absent, absent * 2);
        }
        while absent - present > 1 {
            let middle = present + (absent - present) / 2;
            if self.exists(middle).await? {
                present = middle;
            } else {
                absent = middle;
            }
        }
        Ok(absent)
    }

    async fn exists(&self, number: u64) -> Result<bool> {
        match self.records.get(&self.key, number).await {
            Ok(version) => Ok(version.is_some()),
            Err(error) if *error.kind() == ErrorKind::Corrupt => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl RateSample {
    fn then(self, now: Duration, events: u64, bytes: u64) -> Self {
        let seconds = now.saturating_sub(self.at).as_secs_f64();
        if seconds <= 0.0 {
            return self;
        }
        let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
        let smoothed = |before: f64, now: f64| {
            if before > 0.0 {
                before * 0.7 + now * 0.3
            } else {
                now
            }
        };
        Self {
            at: now,
            events,
            bytes,
            events_per_second: smoothed(self.events_per_second, rate(self.events, events)),
            bytes_per_second: smoothed(self.bytes_per_second, rate(self.bytes, bytes)),
        }
    }
}

/// The part of the events that is copied and verified, in percent. The time that a few events take
/// says nothing of a run that waits for its only cutover.
fn read_percent(progress: &Progress) -> Option<u8> {
    let total = progress.events_total.filter(|total| *total > 0)?;
    let read = progress.events_copied + progress.events_verified;
    let percent = u128::from(read) * 100 / (2 * u128::from(total));
    Some(percent.min(99) as u8)
}

/// Whether a run works on nothing: it is paused, or waits.
fn rests(progress: &Progress) -> bool {
    progress.status == MigrationStatus::Paused || progress.waiting_for.is_some()
}

/// Returns a version of the published progress of a migration, this one or the newest, with its
/// number.
///
/// # Errors
/// `Corrupt`, also for a newer format; those of the records.
pub(crate) async fn published(
    records: &Arc<dyn Records>,
    migration: MigrationId,
    number: Option<u64>,
) -> Result<Option<(u64, Progress)>> {
    let key = RecordKey::Progress(migration);
    let record = match number {
        Some(number) => records.get(&key, number).await?,
        None => records.latest(&key).await?,
    };
    let Some(record) = record else {
        return Ok(None);
    };
    let found: PublishedProgress = decode(&key, &record)?;
    if found.format > FORMAT {
        let message = format!("{key} has format {}, known is {FORMAT}", found.format);
        return Err(Error::new(ErrorKind::Corrupt, message).with_hint("use a newer version of esm"));
    }
    Ok(Some((record.number, found.progress)))
}
