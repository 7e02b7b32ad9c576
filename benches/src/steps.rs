//! How long the steps of a migration took, by its progress.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use esm_core::migration::{Progress, ProgressOptions, Step};

/// When each step was first reported.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps(Arc<Mutex<BTreeMap<Step, Duration>>>);

impl Steps {
    /// Listens to a migration.
    pub(crate) fn listening(&self) -> ProgressOptions {
        let steps = self.clone();
        ProgressOptions::default()
            .every(Duration::ZERO)
            .on_progress(move |now| steps.hear(now))
    }

    fn hear(&self, now: &Progress) {
        let mut begins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begins.entry(now.step).or_insert(now.elapsed);
    }

    /// From the begin of a step to the begin of the one after it.
    pub(crate) fn duration(&self, step: Step) -> Result<Duration> {
        let begins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = begins.get(&step).with_context(|| format!("no {step}"))?;
        let mut later = begins.values().filter(|at| *at > begin).collect::<Vec<_>>();
        later.sort();
        let end = later
            .first()
            .with_context(|| format!("nothing after {step}"))?;
        Ok(**end - *begin)
    }
}
