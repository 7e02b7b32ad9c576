//! Stops a process at one of its steps.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::faults::Gate;

/// Stops whoever reports its steps, at one of them, until it is thawed. A handle: clones are the
/// same freezer.
///
/// ```
/// use esm_testkit::frozen::Freezer;
///
/// let freezer = Freezer::at(1);
/// freezer.step("open"); // not armed: does not count
/// freezer.arm();
/// let process = std::thread::spawn({
///     let freezer = freezer.clone();
///     move || ["create", "write", "link"].map(|step| freezer.step(step))
/// });
/// futures::executor::block_on(freezer.reached());
/// assert_eq!(freezer.stopped_at().as_deref(), Some("write"));
/// freezer.thaw();
/// process.join().unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Freezer {
    at: u64,
    armed: Arc<AtomicBool>,
    steps: Arc<AtomicU64>,
    stopped_at: Arc<Mutex<Option<String>>>,
    gate: Gate,
}

impl Freezer {
    /// Stops at the step of this number, from 0 on, counted since [`arm`](Self::arm).
    pub fn at(step: u64) -> Self {
        Self {
            at: step,
            armed: Arc::default(),
            steps: Arc::default(),
            stopped_at: Arc::default(),
            gate: Gate::new(),
        }
    }

    /// Begins to count.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Reports a step that is about to be taken, or was taken just now. Blocks the thread when it is
    /// the one to stop at.
    pub fn step(&self, name: &str) {
        futures::executor::block_on(self.pass(name));
    }

    /// As [`step`](Self::step), without blocking the thread.
    pub async fn pass(&self, name: &str) {
        if !self.armed.load(Ordering::SeqCst) {
            return;
        }
        if self.steps.fetch_add(1, Ordering::SeqCst) == self.at {
            *self
                .stopped_at
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
            self.gate.pass().await;
        }
    }

    /// Waits until a process is stopped.
    pub async fn reached(&self) {
        self.gate.reached().await;
    }

    /// The step that a process was stopped at.
    pub fn stopped_at(&self) -> Option<String> {
        self.stopped_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Lets it continue.
    pub fn thaw(&self) {
        self.gate.open();
    }
}
