//! The samples of a saved plan, as they may be shown.

use std::sync::Arc;
use std::time::Duration;

use esm_core::Result;
use esm_core::migration::MigrationPlan;

use crate::cache::Load;
use crate::payload::{Payloads, VisibleSample};

/// Loads the samples of a saved plan.
#[derive(Debug)]
pub(crate) struct SavedPlanLoad {
    pub(crate) payloads: Payloads,
    pub(crate) plan: Arc<MigrationPlan>,
}

impl Load for SavedPlanLoad {
    type Value = Vec<VisibleSample>;

    /// It never changes.
    const FRESH: Duration = Duration::MAX;

    async fn load(&mut self) -> Result<Vec<VisibleSample>> {
        let samples = self.plan.samples.clone();
        let visible = self.payloads.on_a_thread(move |payloads| {
            let samples = samples.into_iter();
            samples.map(|sample| payloads.sample(sample)).collect()
        });
        visible.await
    }
}
