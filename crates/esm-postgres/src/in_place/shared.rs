//! What all parts of a migration in place use, and how it is run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use esm_core::backoff::BackOff;
use esm_core::clock::Environment;
use esm_core::store::Processes;
use esm_core::{Error, ErrorKind, Result};

use super::change::Columns;
use super::statements::Statements;
use super::transformer::Shape;
use super::wire::Wire;
use crate::layout::LayoutStreams;

/// Attempts to make progress in a stream: other transactions hold rows, or change them, or a server
/// restarts.
pub(super) const AGAIN: BackOff =
    BackOff::new(14, Duration::from_millis(10), Duration::from_secs(2));

/// How migrations in place are run.
#[derive(Clone)]
pub struct InPlaceOptions {
    /// The clock and the source of randomness.
    pub environment: Environment,
    /// The name of this process, for people.
    pub holder: String,
    /// The processes of this machine.
    pub processes: Arc<dyn Processes>,
    /// Whether a table with triggers on UPDATE is rewritten.
    pub allow_triggers: bool,
    /// Returns whether to stop at the next safe point.
    pub should_stop: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Receives the number of events that were read.
    pub on_progress: Arc<dyn Fn(u64) + Send + Sync>,
}

impl InPlaceOptions {
    /// Options for a process of this name: no triggers, and nothing
    /// that stops it.
    pub fn new(
        environment: Environment,
        holder: impl Into<String>,
        processes: Arc<dyn Processes>,
    ) -> Self {
        Self {
            environment,
            holder: holder.into(),
            processes,
            allow_triggers: false,
            should_stop: Arc::new(|| false),
            on_progress: Arc::new(|_| {}),
        }
    }
}

impl fmt::Debug for InPlaceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InPlaceOptions")
            .field("holder", &self.holder)
            .field("allow_triggers", &self.allow_triggers)
            .finish_non_exhaustive()
    }
}

/// What all parts of a migration use.
pub(super) struct Shared {
    pub(super) streams: Arc<LayoutStreams>,
    pub(super) columns: Columns,
    pub(super) statements: Statements,
    pub(super) wire: Wire,
    pub(super) options: InPlaceOptions,
    pub(super) shape: Shape,
}

impl Shared {
    pub(super) fn relation(&self) -> &str {
        &self.statements.table().full_name
    }

    /// Reads, again while the server is unavailable: one that is restarted is back after some time.
    ///
    /// # Errors
    /// Those of the last attempt.
    pub(super) async fn read_again<T, F>(&self, read: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut back_off = AGAIN;
        loop {
            match read().await {
                Err(error)
                    if *error.kind() == ErrorKind::Unavailable
                        && back_off.pause(&self.options.environment).await => {}
                done => return done,
            }
        }
    }

    /// # Errors
    /// `Cancelled` if a stop was requested.
    pub(super) fn check_stop(&self) -> Result<()> {
        if (self.options.should_stop)() {
            return Err(Error::new(ErrorKind::Cancelled, "stopped on request"));
        }
        Ok(())
    }
}
