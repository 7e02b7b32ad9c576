//! A clock for spoilt responses: pauses between attempts pass at once and are remembered, and
//! patience ends on demand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use esm_core::clock::{Clock, Environment, SystemClock};
use jiff::Timestamp;
use tokio::sync::Notify;

/// What waits longer waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub(crate) struct BriskClock {
    system: SystemClock,
    pauses: Arc<Mutex<Vec<Duration>>>,
    /// Callers that wait for a response give up when this is notified.
    pub(crate) give_up: Arc<Notify>,
}

impl BriskClock {
    pub(crate) fn new() -> Self {
        Self {
            system: SystemClock::new(),
            pauses: Arc::default(),
            give_up: Arc::default(),
        }
    }

    pub(crate) fn environment(&self) -> Environment {
        Environment {
            clock: Arc::new(self.clone()),
            ..Environment::system()
        }
    }

    /// The pauses that were made.
    pub(crate) fn pauses(&self) -> Vec<Duration> {
        self.pauses.lock().unwrap().clone()
    }
}

#[async_trait]
impl Clock for BriskClock {
    fn now(&self) -> Timestamp {
        self.system.now()
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        if duration < PATIENCE {
            self.pauses.lock().unwrap().push(duration);
            return;
        }
        self.give_up.notified().await;
    }
}
