//! Time, ids and randomness: the only module that reads them from the machine.
//!
//! Everything else takes an [`Environment`]. So a test decides which time it is and which ids are
//! drawn, and the same seed gives the same run.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::id::{CommitId, MigrationId};

/// Reads the time and waits.
#[async_trait]
pub trait Clock: Send + Sync + Debug + 'static {
    /// The wall clock: for people to read, never for a decision that safety rests on.
    fn now(&self) -> Timestamp;

    /// Time since a fixed instant of this process. Never decreases.
    fn monotonic(&self) -> Duration;

    /// Waits this long.
    ///
    /// # Cancel safety
    /// Safe to drop.
    async fn sleep(&self, duration: Duration);
}

/// Draws random numbers.
pub trait Randomness: Send + Sync + Debug + 'static {
    /// 128 random bits.
    fn draw(&self) -> u128;
}

/// The clock and the randomness that a run uses.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The source of time.
    pub clock: Arc<dyn Clock>,
    /// The source of ids and jitter.
    pub randomness: Arc<dyn Randomness>,
}

impl Environment {
    /// The machine's own clock and randomness.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            randomness: Arc::new(SystemRandomness),
        }
    }

    /// A fresh commit id.
    pub fn commit_id(&self) -> CommitId {
        CommitId::from_uuid(self.uuid_v4())
    }

    /// A fresh random UUID.
    pub fn uuid_v4(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.randomness.draw().to_be_bytes()).into_uuid()
    }

    /// A fresh migration id, ordered by time.
    pub fn migration_id(&self) -> MigrationId {
        let millis = u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0);
        let bytes = self.randomness.draw().to_be_bytes();
        let mut random = [0; 10];
        random.copy_from_slice(&bytes[..10]);
        MigrationId::from_uuid(
            uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid(),
        )
    }

    /// Waits for a future at most this long; one that takes longer is dropped.
    pub async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            done = future => Some(done),
            () = self.clock.sleep(limit) => None,
        }
    }

    /// A duration drawn evenly from half of `base` to one and a half of it, so that
    /// processes that collided once do not collide again.
    pub fn jittered(&self, base: Duration) -> Duration {
        let fraction = (self.randomness.draw() >> 96) as f64 / f64::from(u32::MAX);
        base.mul_f64(0.5 + fraction)
    }

    /// Waits for a [jittered](Self::jittered) duration: between the polls of many processes. For
    /// the pauses of a retry see [`BackOff`](crate::backoff::BackOff).
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub async fn sleep_jittered(&self, base: Duration) {
        self.clock.sleep(self.jittered(base)).await;
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::system()
    }
}

/// The machine's clock. Waits on tokio's timer, so a test with paused time can use it too.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: tokio::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        Self {
            start: tokio::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    #[expect(clippy::disallowed_methods, reason = "this is the randomness module")]
    fn draw(&self) -> u128 {
        rand::random()
    }
}

/// A duration in messages: `1h 30m`, `250ms`.
pub(crate) fn readable(duration: Duration) -> String {
    match jiff::SignedDuration::try_from(duration) {
        Ok(signed) => format!("{signed:#}"),
        Err(_) => format!("{}s", duration.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (duration, expected) in [
            (Duration::ZERO, "0s"),
            (Duration::from_millis(250), "250ms"),
            (Duration::from_secs(60), "1m"),
            (Duration::from_secs(5400), "1h 30m"),
        ] {
            assert_eq!(readable(duration), expected);
        }
        assert!(readable(Duration::MAX).ends_with('s'));
    }
}
