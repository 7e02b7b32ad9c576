//! How a store is opened.

use esm_core::clock::Environment;
use esm_core::id::StoreId;
use esm_core::store::StoreLimits;

/// How a [`Store`](crate::Store) is opened.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Nothing is ever written: every write is refused, and opening itself writes nothing.
    pub read_only: bool,
    /// What appends are held to. Not stored: each process that writes has its own.
    pub limits: StoreLimits,
    /// Written into the marker of a store that is created: the stores that streams of this one may
    /// go on in.
    pub known_stores: Vec<StoreId>,
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

    /// Names the stores that streams of a store that is created may go on in.
    #[must_use]
    pub fn with_known_stores(mut self, stores: Vec<StoreId>) -> Self {
        self.known_stores = stores;
        self
    }

    /// Takes time, ids and pauses from here.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }
}
