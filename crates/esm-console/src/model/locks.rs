//! Held locks.

use std::sync::Arc;

use esm_core::Result;
use esm_view::lock::Locks;

use crate::cache::Load;
use crate::source::Source;

/// Loads the held locks.
#[derive(Debug)]
pub(crate) struct LocksLoad(pub(crate) Arc<Source>);

impl Load for LocksLoad {
    type Value = Locks;

    async fn load(&mut self) -> Result<Locks> {
        let now = self.0.environment().clock.now();
        Ok(Locks::new(self.0.locks().list().await?, now))
    }
}
