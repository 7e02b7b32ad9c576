//! Options for opening a store.

use esm_core::clock::Environment;
use esm_core::store::StoreLimits;

/// Options for opening a [`Store`](crate::Store).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Refuses every write; opening the store writes nothing either. Defaults to `false`.
    pub read_only: bool,
    /// Limits that appends must keep. Not stored: each process has its own.
    pub limits: StoreLimits,
    /// Source of time, ids and pauses. Defaults to the system's.
    pub environment: Environment,
}

impl OpenOptions {
    /// Returns options for reading and writing, with the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens for reading only.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Sets the limits that appends must keep.
    #[must_use]
    pub fn with_limits(mut self, limits: StoreLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the source of time, ids and pauses.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }
}
