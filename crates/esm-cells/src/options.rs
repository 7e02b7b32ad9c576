//! How a store is opened.

use esm_core::clock::Environment;
use esm_core::store::StoreLimits;

/// How a [`Store`](crate::Store) is opened.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Nothing is ever written: every write is refused, and opening itself writes nothing.
    pub read_only: bool,
    /// What appends are held to. Not stored: each process that writes has its own.
    pub limits: StoreLimits,
    /// Where time, ids and pauses come from.
    pub environment: Environment,
}

impl OpenOptions {
    /// For reading and writing, with the default limits and the machine's own clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only for reading.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Holds appends to these limits.
    #[must_use]
    pub fn with_limits(mut self, limits: StoreLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Takes time, ids and pauses from here.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }
}
