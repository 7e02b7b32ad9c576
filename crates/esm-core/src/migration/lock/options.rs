//! How a lock is acquired and held.

use std::time::Duration;

/// How the lock is taken and held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LockOptions {
    /// How long to wait for a lock that another holds; zero means not at all.
    pub timeout: Duration,
    /// How long the lock holds without a renewal.
    pub lease: Duration,
    /// How often it is renewed; a renewal that failed is repeated after a fifth of that.
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
    /// Waits for a lock this long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Holds the lock this long without a renewal.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Renews the lock this often, and again after a fifth of that where it failed.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }
}
