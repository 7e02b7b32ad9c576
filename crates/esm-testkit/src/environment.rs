//! Time, ids and randomness under a test's control.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use esm_core::clock::{Clock, Environment, Randomness};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

/// An environment in which the same seed gives the same run: a [`ManualClock`] and
/// [`SeededRandomness`].
///
/// Give each simulated process its own seed, or two processes draw the same ids.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use std::time::Duration;
///
/// let (one, same) = (esm_testkit::environment(7), esm_testkit::environment(7));
/// assert_eq!(one.commit_id(), same.commit_id());
/// let before = one.clock.now();
/// one.clock.sleep(Duration::from_secs(60)).await; // takes no time
/// assert_eq!(one.clock.now().duration_since(before).as_secs(), 60);
/// # });
/// ```
pub fn environment(seed: u64) -> Environment {
    Environment {
        clock: Arc::new(ManualClock::new()),
        randomness: Arc::new(SeededRandomness::new(seed)),
    }
}

/// The wall clock after this time: it starts at 2024-01-01T00:00:00Z.
fn at(elapsed: Duration) -> Timestamp {
    Timestamp::from_second(1_704_067_200).unwrap_or_default() + elapsed
}

/// A clock that runs on tokio's timer and whose wall clock starts at the beginning of 2024.
///
/// Under `#[tokio::test(start_paused = true)]` time passes only by [`advance`](Self::advance) and
/// while every task waits: then tokio jumps to the next timer.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use std::time::Duration;
///
/// use esm_core::clock::Clock as _;
/// use esm_testkit::ManualClock;
///
/// let clock = ManualClock::new();
/// clock.advance(Duration::from_secs(60)).await;
/// clock.sleep(Duration::from_secs(5)).await; // takes no time
/// assert_eq!(clock.now().to_string(), "2024-01-01T00:01:05Z");
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ManualClock {
    start: Instant,
}

impl ManualClock {
    /// A clock whose time starts now.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Lets this much time pass at once. Works only under tokio's paused time.
    pub async fn advance(&self, duration: Duration) {
        tokio::time::advance(duration).await;
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        at(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is a clock")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock whose time passes only when a test advances it. It needs no paused time, so it serves
/// tests that run on several threads.
///
/// A handle: clones are the same clock. A task that sleeps on it waits until the test advances it.
///
/// ```
/// use std::time::Duration;
///
/// use esm_core::clock::Clock;
/// use esm_testkit::SteppedClock;
///
/// let clock = SteppedClock::new();
/// clock.clone().advance(Duration::from_secs(90));
/// assert_eq!(clock.now().to_string(), "2024-01-01T00:01:30Z");
/// ```
#[derive(Debug, Clone)]
pub struct SteppedClock {
    elapsed: Arc<watch::Sender<Duration>>,
}

impl SteppedClock {
    /// A clock at the beginning of 2024.
    pub fn new() -> Self {
        Self {
            elapsed: Arc::new(watch::Sender::new(Duration::ZERO)),
        }
    }

    /// Advances the clock, and wakes the tasks whose sleep has ended.
    pub fn advance(&self, duration: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += duration);
    }
}

impl Default for SteppedClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SteppedClock {
    fn now(&self) -> Timestamp {
        at(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        *self.elapsed.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.monotonic() + duration;
        let mut elapsed = self.elapsed.subscribe();
        // it cannot fail: the sender is `self`
        let _ = elapsed.wait_for(|elapsed| *elapsed >= until).await;
    }
}

/// Randomness that a seed determines: draw `n` is a hash of the seed and `n`.
///
/// ```
/// use esm_core::clock::Randomness as _;
/// use esm_testkit::SeededRandomness;
///
/// let (one, same) = (SeededRandomness::new(7), SeededRandomness::new(7));
/// assert_eq!(one.draw(), same.draw());
/// assert_ne!(one.draw(), one.draw());
/// ```
#[derive(Debug)]
pub struct SeededRandomness {
    seed: u64,
    drawn: AtomicU64,
}

impl SeededRandomness {
    /// The randomness of this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            drawn: AtomicU64::new(0),
        }
    }
}

impl Randomness for SeededRandomness {
    fn draw(&self) -> u128 {
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut hash = blake3::Hasher::new();
        hash.update(&self.seed.to_le_bytes());
        hash.update(&n.to_le_bytes());
        let mut bits = [0; 16];
        hash.finalize_xof().fill(&mut bits);
        u128::from_le_bytes(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_ids() {
        let draw = |seed| [(); 3].map(|()| environment(seed).uuid_v4());
        let (a, b, c) = (environment(1), environment(1), environment(2));
        assert_eq!(a.uuid_v4(), b.uuid_v4());
        assert_ne!(a.uuid_v4(), c.uuid_v4());
        assert_ne!(a.uuid_v4(), a.uuid_v4());
        assert_eq!(draw(7), draw(7));
    }

    #[tokio::test]
    async fn a_stepped_clock_wakes_those_whose_time_has_come() {
        let clock = SteppedClock::new();
        let (short, long) = (clock.clone(), clock.clone());
        let short = tokio::spawn(async move { short.sleep(Duration::from_secs(5)).await });
        let long = tokio::spawn(async move { long.sleep(Duration::from_secs(500)).await });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(10));
        assert!(short.await.is_ok());
        assert!(!long.is_finished());
        assert_eq!(clock.now().to_string(), "2024-01-01T00:00:10Z");
        long.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn time_passes_only_when_told() {
        let clock = ManualClock::new();
        assert_eq!(clock.now().to_string(), "2024-01-01T00:00:00Z");
        clock.advance(Duration::from_secs(60)).await;
        clock.sleep(Duration::from_secs(5)).await;
        assert_eq!(clock.now().to_string(), "2024-01-01T00:01:05Z");
        assert_eq!(clock.monotonic(), Duration::from_secs(65));
    }
}
