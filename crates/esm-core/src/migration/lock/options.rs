//! Options of a lock.

use std::time::Duration;

/// How a lock is acquired and held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LockOptions {
    /// Maximum wait for a lock that another process holds. Zero: does not wait.
    pub timeout: Duration,
    /// Time after which the lock expires without a renewal.
    pub lease: Duration,
    /// Interval of renewals. A failed renewal is retried after a fifth of it.
    pub heartbeat: Duration,
}

impl Default for LockOptions {
    /// Does not wait; 60-second leases, renewed every 10 seconds.
    fn default() -> Self {
        Self {
            timeout: Duration::ZERO,
            lease: Duration::from_secs(60),
            heartbeat: Duration::from_secs(10),
        }
    }
}

impl LockOptions {
    /// Sets the maximum wait for a lock. Defaults to zero: does not wait.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the time after which the lock expires without a renewal. Defaults to 60 seconds.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Returns the interval at which a waiting process polls a lock that another one holds: not a
    /// back-off, because the lock becomes free at a time that the wait does not influence.
    pub(crate) fn poll(&self) -> Duration {
        (self.lease / 10).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    /// Sets the interval of renewals. Defaults to 10 seconds. At most half of the lease.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }
}
