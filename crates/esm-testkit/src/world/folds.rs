//! Compares the folds of old and new code.

use std::fmt::Debug;
use std::sync::Arc;

use esm_core::event::Event;

type Compare = Arc<dyn Fn(&[Event], &[Event]) -> Result<(), String> + Send + Sync>;

/// Compares the old code's fold of the old events with the new code's fold of the new ones.
#[derive(Clone)]
pub(super) struct Folds(Compare);

impl Folds {
    /// Nothing is compared.
    pub(super) fn none() -> Self {
        Self(Arc::new(|_, _| Ok(())))
    }

    pub(super) fn new<O: Debug, N: Debug>(
        old: impl Fn(&[Event]) -> O + Send + Sync + 'static,
        new: impl Fn(&[Event]) -> N + Send + Sync + 'static,
        same: impl Fn(&O, &N) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |before, after| {
            let (old, new) = (old(before), new(after));
            if same(&old, &new) {
                Ok(())
            } else {
                Err(format!(
                    "the folds differ: {} old events give {old:?}, {} new ones give {new:?}",
                    before.len(),
                    after.len()
                ))
            }
        }))
    }

    pub(super) fn compare(&self, old: &[Event], new: &[Event]) -> Result<(), String> {
        (self.0)(old, new)
    }
}
