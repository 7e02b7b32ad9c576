//! Throttling: rate limits, latency limits, and the user's own reasons to wait.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cutover::supervisor::Amount;
use crate::protocol::control::Settings;

/// The limit or callback that slows a migration down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ThrottleReason {
    /// [`Settings::events_per_second`].
    EventsPerSecond,
    /// [`Settings::bytes_per_second`].
    BytesPerSecond,
    /// [`Settings::requests_in_flight`].
    RequestsInFlight,
    /// [`Settings::target_latency_ms`].
    TargetLatency,
    /// [`Settings::observed_latency_ms`].
    ObservedLatency,
    /// A reason that the [`hold_while`](ThrottleOptions::hold_while) callback returned.
    Told(String),
}

impl fmt::Display for ThrottleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EventsPerSecond => "the limit of events per second",
            Self::BytesPerSecond => "the limit of bytes per second",
            Self::RequestsInFlight => "the limit of requests in flight",
            Self::TargetLatency => "slow appends to the target",
            Self::ObservedLatency => "slow appends of applications",
            Self::Told(reason) => reason,
        })
    }
}

type HoldFn = dyn Fn() -> Option<String> + Send + Sync;
type LatencyFn = dyn Fn() -> Option<Duration> + Send + Sync;

/// User callbacks that report the load of the surroundings.
///
/// The run calls them often, on its own task: they must return immediately and must not block. The
/// result of a callback that panics counts as `None`.
#[derive(Clone, Default)]
pub struct ThrottleOptions {
    hold: Option<Arc<HoldFn>>,
    observed: Option<Arc<LatencyFn>>,
}

impl ThrottleOptions {
    /// Sets a callback that holds copying and comparing while it returns a reason.
    #[must_use]
    pub fn hold_while(mut self, hold: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.hold = Some(Arc::new(hold));
        self
    }

    /// Sets a callback that returns the current latency of applications' appends; see
    /// [`Settings::observed_latency_ms`].
    #[must_use]
    pub fn observe_appends(
        mut self,
        latency: impl Fn() -> Option<Duration> + Send + Sync + 'static,
    ) -> Self {
        self.observed = Some(Arc::new(latency));
        self
    }
}

impl fmt::Debug for ThrottleOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThrottleOptions")
            .field("hold", &self.hold.is_some())
            .field("observed", &self.observed.is_some())
            .finish()
    }
}

/// Idle time that later events may use up: the burst of the rate limits.
const BURST: Duration = Duration::from_millis(100);
/// Interval at which a reason to wait is checked again.
pub(crate) const LOOK: Duration = Duration::from_millis(200);
/// Longest wait for a slow store before the next page is copied anyway: only another append shows
/// whether the store is still slow.
const LONGEST_LATENCY_WAIT: Duration = Duration::from_secs(1);

/// Rate and latency limits of a run, over all its objects.
#[derive(Debug)]
pub struct Throttle {
    options: ThrottleOptions,
    pace: Mutex<Pace>,
}

#[derive(Debug, Default)]
struct Pace {
    /// Times at which the next event and the next byte are due.
    events_at: Duration,
    bytes_at: Duration,
    /// Append latency, smoothed over the last appends.
    append: Option<Duration>,
}

/// A wait: its end on the monotonic clock, and its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// When it ends, on the monotonic clock.
    pub until: Duration,
    /// What it is for.
    pub reason: ThrottleReason,
}

impl Throttle {
    /// Returns limits that nothing has used yet.
    pub fn new(options: ThrottleOptions) -> Self {
        Self {
            options,
            pace: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the latency of an append to a target.
    pub(crate) fn appended(&self, took: Duration) {
        let mut pace = self.lock();
        let smoothed = pace.append.map_or(took, |before| (before * 3 + took) / 4);
        pace.append = Some(smoothed);
    }

    /// Counts events and bytes; returns the wait that the limits require, if any.
    pub fn reserve(&self, now: Duration, settings: &Settings, amount: Amount) -> Option<Wait> {
        let mut pace = self.lock();
        let events = due(
            &mut pace.events_at,
            now,
            amount.events,
            settings.events_per_second.get(),
        );
        let bytes = due(
            &mut pace.bytes_at,
            now,
            amount.bytes,
            settings.bytes_per_second.get(),
        );
        let slow = pace
            .append
            .filter(|took| settings.target_latency().is_some_and(|most| *took > most));
        let observed = (self.observed())
            .filter(|took| settings.observed_latency().is_some_and(|most| *took > most));
        let latency = |took: Duration| now + (took * 4).min(LONGEST_LATENCY_WAIT);
        [
            (Some(events), ThrottleReason::EventsPerSecond),
            (Some(bytes), ThrottleReason::BytesPerSecond),
            (slow.map(latency), ThrottleReason::TargetLatency),
            (observed.map(latency), ThrottleReason::ObservedLatency),
        ]
        .into_iter()
        .filter_map(|(until, reason)| until.map(|until| Wait { until, reason }))
        .max_by_key(|wait| wait.until)
        .filter(|wait| wait.until > now)
    }

    /// Resets the reservations, after a change of the rates.
    pub fn reset(&self) {
        let mut pace = self.lock();
        (pace.events_at, pace.bytes_at) = (Duration::ZERO, Duration::ZERO);
    }

    /// Returns the user's own reason to wait.
    pub(crate) fn told(&self) -> Option<ThrottleReason> {
        let hold = self.options.hold.as_ref()?;
        let reason = catch_unwind(AssertUnwindSafe(|| hold())).ok().flatten();
        reason.map(ThrottleReason::Told)
    }

    fn observed(&self) -> Option<Duration> {
        let observed = self.options.observed.as_ref()?;
        catch_unwind(AssertUnwindSafe(|| observed())).ok().flatten()
    }
}

/// Adds an amount at a rate; returns when it is due.
fn due(at: &mut Duration, now: Duration, amount: u64, rate: Option<u64>) -> Duration {
    let Some(rate) = rate else {
        return Duration::ZERO;
    };
    let takes = Duration::from_secs_f64(amount as f64 / rate as f64);
    *at = (*at).max(now.saturating_sub(BURST)) + takes;
    *at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::control::Limit;
    use proptest::prelude::*;

    fn at_most(events: u64) -> Settings {
        Settings {
            events_per_second: Limit::At(events),
            ..Settings::default()
        }
    }

    proptest! {
        #[test]
        fn over_any_time_no_more_passes_than_the_rate_and_one_burst_allow(
            pages in prop::collection::vec((1..500u64, 0..300u64), 1..60),
            rate in 1..2000u64,
        ) {
            let throttle = Throttle::new(ThrottleOptions::default());
            let (mut now, mut passed) = (Duration::from_secs(5), 0);
            let start = now;
            for (events, idle) in pages {
                now += Duration::from_millis(idle);
                if let Some(wait) = throttle.reserve(now, &at_most(rate), Amount { events, bytes: 0 }) {
                    prop_assert_eq!(wait.reason, ThrottleReason::EventsPerSecond);
                    now = wait.until;
                }
                passed += events;
                let allowed = (now - start + BURST).as_secs_f64() * rate as f64;
                prop_assert!(passed as f64 <= allowed + 1e-3 * rate as f64, "{passed} of {allowed}");
            }
        }
    }

    #[test]
    fn what_slows_it_is_named() {
        let slow = Settings {
            target_latency_ms: Limit::At(10),
            ..Settings::default()
        };
        let throttle =
            Throttle::new(ThrottleOptions::default().hold_while(|| Some("lunch".into())));
        let now = Duration::from_secs(1);
        assert_eq!(
            throttle.reserve(
                now,
                &slow,
                Amount {
                    events: 1,
                    bytes: 1
                }
            ),
            None
        );
        throttle.appended(Duration::from_millis(40));
        let wait = throttle
            .reserve(
                now,
                &slow,
                Amount {
                    events: 1,
                    bytes: 1,
                },
            )
            .unwrap();
        assert_eq!(wait.reason, ThrottleReason::TargetLatency);
        assert_eq!(wait.until, now + Duration::from_millis(160));
        assert_eq!(throttle.told(), Some(ThrottleReason::Told("lunch".into())));
    }

    #[test]
    fn a_function_that_panics_is_silent() {
        let options = ThrottleOptions::default()
            .hold_while(|| panic!("in a hold"))
            .observe_appends(|| panic!("in a latency"));
        let throttle = Throttle::new(options);
        assert_eq!(throttle.told(), None);
        assert_eq!(
            throttle.reserve(
                Duration::ZERO,
                &Settings::default(),
                Amount {
                    events: 1,
                    bytes: 1
                }
            ),
            None
        );
    }
}
