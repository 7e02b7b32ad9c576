//! Pauses between the attempts of an operation that is retried.

use std::time::Duration;

use crate::clock::Environment;

/// A bounded number of attempts with exponentially growing, jittered pauses between them.
///
/// A constant describes the policy. Each operation works on a copy of its own, which counts the
/// attempts. Time and jitter come from the [`Environment`], so the same seed gives the same pauses.
///
/// ```
/// # use esm_core::backoff::BackOff;
/// # use esm_core::clock::Environment;
/// # use std::time::Duration;
/// /// 20, 40, 80, 100, 100 ms, each jittered.
/// const WRITE: BackOff = BackOff::new(6, Duration::from_millis(20), Duration::from_millis(100));
///
/// # async fn write() -> esm_core::Result<()> { Ok(()) }
/// async fn write_or_retry(environment: &Environment) -> esm_core::Result<()> {
///     let mut back_off = WRITE;
///     loop {
///         match write().await {
///             Err(error) if error.is_retryable() && back_off.pause(environment).await => {}
///             outcome => return outcome,
///         }
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct BackOff {
    /// Absent where the number of retries is unlimited.
    retries_left: Option<u32>,
    at_once: bool,
    next: Duration,
    longest: Duration,
}

impl BackOff {
    /// At most `attempts` attempts. The first pause is about `first`; each further one is twice as
    /// long as the one before, and none is longer than about `longest`.
    pub const fn new(attempts: u32, first: Duration, longest: Duration) -> Self {
        Self {
            retries_left: Some(attempts.saturating_sub(1)),
            at_once: false,
            next: first,
            longest,
        }
    }

    /// As [`new`](Self::new), without a limit on the attempts: for polls that their caller ends.
    pub const fn unlimited(first: Duration, longest: Duration) -> Self {
        Self {
            retries_left: None,
            ..Self::new(0, first, longest)
        }
    }

    /// At most `attempts` attempts, with a pause of about `pause` between any two.
    pub const fn constant(attempts: u32, pause: Duration) -> Self {
        Self::new(attempts, pause, pause)
    }

    /// Makes the first retry without a pause: where the usual cause is gone by then.
    #[must_use]
    pub const fn first_retry_at_once(self) -> Self {
        Self {
            at_once: true,
            ..self
        }
    }

    /// Pauses before a retry. Returns `false`, at once, if no attempt is left.
    ///
    /// # Cancel safety
    /// Safe to drop; the retry counts.
    pub async fn pause(&mut self, environment: &Environment) -> bool {
        self.pause_at_least(Duration::ZERO, environment).await
    }

    /// Pauses before a retry, at least as long as a service has requested. Returns `false`, at
    /// once, if no attempt is left.
    ///
    /// # Cancel safety
    /// As [`pause`](Self::pause).
    pub async fn pause_at_least(&mut self, least: Duration, environment: &Environment) -> bool {
        if !self.retry_at_once() {
            return false;
        }
        if std::mem::take(&mut self.at_once) && least.is_zero() {
            return true;
        }
        let pause = environment.jittered(self.next.min(self.longest)).max(least);
        self.next = self.next.saturating_mul(2);
        environment.clock.sleep(pause).await;
        true
    }

    /// Counts a retry that needs no pause. Returns `false` if no attempt is left.
    pub fn retry_at_once(&mut self) -> bool {
        match &mut self.retries_left {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use jiff::Timestamp;

    use super::*;
    use crate::clock::{Clock, Randomness};

    /// Sleeps without waiting, and notes for how long.
    #[derive(Debug, Default)]
    struct Noted(Mutex<Vec<u128>>);

    #[async_trait::async_trait]
    impl Clock for Noted {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        async fn sleep(&self, duration: Duration) {
            self.0.lock().unwrap().push(duration.as_millis());
        }
    }

    /// Draws the middle, which jitters nothing.
    #[derive(Debug)]
    struct Middle;

    impl Randomness for Middle {
        fn draw(&self) -> u128 {
            u128::MAX / 2
        }
    }

    fn noted() -> (Arc<Noted>, Environment) {
        let clock = Arc::new(Noted::default());
        let environment = Environment {
            clock: Arc::<Noted>::clone(&clock),
            randomness: Arc::new(Middle),
        };
        (clock, environment)
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[tokio::test]
    async fn pauses_double_up_to_the_longest_and_end_with_the_attempts() {
        let (clock, environment) = noted();
        let mut back_off = BackOff::new(6, ms(20), ms(100));
        let mut attempts = 1;
        while back_off.pause(&environment).await {
            attempts += 1;
        }
        assert_eq!(attempts, 6);
        assert!(!back_off.pause(&environment).await, "it stays at its end");
        let pauses = clock.0.lock().unwrap().clone();
        for (pause, expected) in pauses.iter().zip([20, 40, 80, 100, 100]) {
            assert!(pause.abs_diff(expected) <= 1, "{pauses:?}");
        }
        assert_eq!(pauses.len(), 5);
    }

    #[tokio::test]
    async fn a_retry_at_once_counts_and_leaves_the_next_pause_as_it_was() {
        let (clock, environment) = noted();
        let mut back_off = BackOff::new(3, ms(20), ms(100));
        assert!(back_off.retry_at_once());
        assert!(back_off.pause_at_least(ms(70), &environment).await);
        assert!(!back_off.retry_at_once());
        assert!(!back_off.pause(&environment).await);
        assert_eq!(*clock.0.lock().unwrap(), [70]);
    }

    #[tokio::test]
    async fn the_first_retry_may_come_at_once_unless_a_service_requests_a_pause() {
        let (clock, environment) = noted();
        let policy = BackOff::unlimited(ms(20), ms(20)).first_retry_at_once();
        let mut back_off = policy.clone();
        assert!(back_off.pause(&environment).await);
        assert!(back_off.pause_at_least(ms(30), &environment).await);
        assert!(policy.clone().pause_at_least(ms(40), &environment).await);
        assert_eq!(*clock.0.lock().unwrap(), [30, 40]);
    }

    #[tokio::test]
    async fn one_attempt_or_none_leaves_no_retry() {
        let (clock, environment) = noted();
        for attempts in [0, 1] {
            assert!(!BackOff::constant(attempts, ms(5)).pause(&environment).await);
        }
        assert_eq!(*clock.0.lock().unwrap(), [0; 0]);
    }
}
