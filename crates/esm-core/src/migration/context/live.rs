//! State shared between operator commands, user callbacks and the running migration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::clock::Environment;
use crate::cutover::meter::Meter;
use crate::error::Result;
use crate::migration::control::steering::Steering;
use crate::migration::limits::hooks::{HookEvent, Hooks};
use crate::migration::limits::in_flight::Requests;
use crate::migration::limits::lanes::{LaneWaits, Lanes};
use crate::migration::limits::throttle::Throttle;
use crate::migration::report::progress::Reporter;
use crate::protocol::status::MigrationStatus;

/// State shared between operator commands, user callbacks and the running migration.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) steering: Steering,
    pub(crate) throttle: Throttle,
    pub(crate) requests: Requests,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) hooks: Hooks,
    /// Hooks without a veto that failed or panicked.
    pub(crate) hook_faults: AtomicU64,
    /// Whether to count the scope first.
    pub(crate) count_first: bool,
    /// Whether this run has removed the phases that earlier migrations left behind.
    pub(crate) phases_swept: AtomicBool,
}

impl Live {
    /// Continues forward after a refused undo: accepts forward commands again, and reports it.
    pub(crate) fn go_forward(&self) {
        self.steering.end_undo();
        self.reporter
            .update(|p| p.status = MigrationStatus::InProgress);
    }

    /// Notes that an object under way waits.
    pub(crate) fn begin_waiting(&self) -> Waiting {
        Waiting {
            _lane: self.lanes.wait(),
            reporter: Arc::clone(&self.reporter),
        }
    }

    /// Calls the hooks of an event's point; returns whether there were any.
    ///
    /// # Errors
    /// `Cancelled` for a veto.
    pub(crate) async fn call_hooks(
        &self,
        environment: &Environment,
        event: HookEvent,
    ) -> Result<bool> {
        if !self.hooks.any(event.point) {
            return Ok(false);
        }
        let faults = self.hooks.call(environment, event).await?;
        self.hook_faults.fetch_add(faults, Ordering::Relaxed);
        Ok(true)
    }
}

/// An object under way that waits for a command or a time, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    _lane: LaneWaits,
    reporter: Arc<Reporter>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.reporter.update(|p| p.waiting_for = None);
    }
}
