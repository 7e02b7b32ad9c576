//! Writing down how far a run is, for who watches it from another process.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::debug;

use crate::cutover::meter::Meter;
use crate::error::{Error, ErrorKind, Result};
use crate::id::MigrationId;
use crate::migration::limits::in_flight::Requests;
use crate::migration::limits::throttle::ThrottleReason;
use crate::migration::report::progress::{Progress, Reporter};
use crate::store::{RecordKey, Records, RecordsExt as _};

/// A progress as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PublishedProgress {
    format: u32,
    #[serde(flatten)]
    pub(crate) progress: Progress,
}

const FORMAT: u32 = 1;

/// The record of a run's progress.
#[derive(Debug)]
pub(crate) struct ProgressRecord {
    records: Arc<dyn Records>,
    key: RecordKey,
    reporter: Arc<Reporter>,
    meter: Arc<Meter>,
    requests: Arc<Requests>,
    /// The number of the next version; unknown until the first is written.
    next: Option<u64>,
    measured: Option<Measured>,
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    at: Duration,
    events: u64,
    bytes: u64,
    /// Smoothed, in a second.
    events_per_second: f64,
    bytes_per_second: f64,
}

impl ProgressRecord {
    pub(crate) fn new(
        records: Arc<dyn Records>,
        migration: MigrationId,
        reporter: Arc<Reporter>,
        meter: Arc<Meter>,
        requests: Arc<Requests>,
    ) -> Self {
        Self {
            records,
            key: RecordKey::Progress(migration),
            reporter,
            meter,
            requests,
            next: None,
            measured: None,
        }
    }

    /// Measures the rates, and tells them with the next progress.
    pub(crate) fn measure(&mut self, now: Duration) {
        let progress = self.reporter.current();
        let (events, bytes) = (
            progress.events_copied + progress.events_verified,
            progress.bytes_copied,
        );
        let measured = match self.measured {
            None => Measured {
                at: now,
                events,
                bytes,
                events_per_second: 0.0,
                bytes_per_second: 0.0,
            },
            Some(before) => before.then(now, events, bytes),
        };
        self.measured = Some(measured);
        let stages = self.meter.times();
        let full = self
            .requests
            .is_full()
            .then_some(ThrottleReason::RequestsInFlight);
        self.reporter.update(|p| {
            p.stages = stages;
            p.events_per_second = measured.events_per_second.round() as u64;
            p.bytes_per_second = measured.bytes_per_second.round() as u64;
            p.eta = eta(p);
            // one that is named already is the stronger
            if matches!(
                p.throttled_by,
                None | Some(ThrottleReason::RequestsInFlight)
            ) {
                p.throttled_by = full;
            }
        });
    }

    /// Writes the newest progress down. One that cannot be written is forgotten.
    pub(crate) async fn publish(&mut self) {
        if let Err(error) = self.put().await {
            debug!(%error, "progress not published");
            self.next = None;
        }
    }

    /// Writes the last progress down, where one was before.
    pub(crate) async fn publish_last(&mut self) {
        if self.next.is_some() {
            self.publish().await;
        }
    }

    async fn put(&mut self) -> Result<()> {
        let number = match self.next {
            Some(number) => number,
            None => (self.records.latest(&self.key).await?).map_or(0, |record| record.number + 1),
        };
        let published = PublishedProgress {
            format: FORMAT,
            progress: self.reporter.current(),
        };
        self.records.put_as(&self.key, number, &published).await?;
        self.next = Some(number + 1);
        Ok(())
    }
}

impl Measured {
    fn then(self, now: Duration, events: u64, bytes: u64) -> Self {
        let seconds = now.saturating_sub(self.at).as_secs_f64();
        if seconds <= 0.0 {
            return self;
        }
        let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
        let smoothed = |before: f64, now: f64| match before > 0.0 {
            true => before * 0.7 + now * 0.3,
            false => now,
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

/// How long the rest will take at the present rate: every event is copied and compared.
fn eta(progress: &Progress) -> Option<Duration> {
    let total = progress.events_total?.checked_mul(2)?;
    let left = total.saturating_sub(progress.events_copied + progress.events_verified);
    match progress.events_per_second {
        0 => None,
        rate => Some(Duration::from_secs(left / rate)),
    }
}

/// The newest progress that a migration has written down, if it has.
///
/// # Errors
/// `Corrupt`, also for a newer format; those of the records.
pub(crate) async fn published(
    records: &Arc<dyn Records>,
    migration: MigrationId,
) -> Result<Option<Progress>> {
    let key = RecordKey::Progress(migration);
    let Some((_, found)) = records.latest_as::<PublishedProgress>(&key).await? else {
        return Ok(None);
    };
    if found.format > FORMAT {
        let message = format!("{key:?} has format {}, known is {FORMAT}", found.format);
        return Err(Error::new(ErrorKind::Corrupt, message).with_hint("use a newer version of esm"));
    }
    Ok(Some(found.progress))
}
