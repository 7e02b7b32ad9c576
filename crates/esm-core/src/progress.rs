//! Progress for callbacks that can neither stall nor fail a migration.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Environment;

/// Receives progress.
pub(crate) type ProgressCallback<P> = Arc<dyn Fn(&P) + Send + Sync>;

/// The callbacks that receive progress, and how often. Defaults to the progress of a migration.
pub struct ProgressOptions<P> {
    every: Option<Duration>,
    callbacks: Vec<ProgressCallback<P>>,
    completed: Vec<ProgressCallback<P>>,
}

impl<P> Default for ProgressOptions<P> {
    fn default() -> Self {
        Self {
            every: None,
            callbacks: Vec::new(),
            completed: Vec::new(),
        }
    }
}

impl<P> Clone for ProgressOptions<P> {
    fn clone(&self) -> Self {
        Self {
            every: self.every,
            callbacks: self.callbacks.clone(),
            completed: self.completed.clone(),
        }
    }
}

impl<P> ProgressOptions<P> {
    /// Shortest time between two notifications. Defaults to 200 ms.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = Some(every);
        self
    }

    /// Called with the first progress, then with the newest at most once per interval, and with the
    /// last.
    #[must_use]
    pub fn on_progress(mut self, callback: impl Fn(&P) + Send + Sync + 'static) -> Self {
        self.callbacks.push(Arc::new(callback));
        self
    }

    /// Called once, with the last progress, however the run ends.
    #[must_use]
    pub fn on_completed(mut self, callback: impl Fn(&P) + Send + Sync + 'static) -> Self {
        self.completed.push(Arc::new(callback));
        self
    }
}

impl<P> fmt::Debug for ProgressOptions<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressOptions")
            .field("every", &self.every)
            .field("callbacks", &self.callbacks.len())
            .field("completed", &self.completed.len())
            .finish()
    }
}

/// Progress with a time.
pub(crate) trait Stamped: Clone + fmt::Debug + Send + 'static {
    /// Writes into it when it was, and how long the run had taken.
    fn stamp(&mut self, at: Timestamp, elapsed: Duration);
}

/// Collects progress and hands it to a thread that calls the callbacks: a callback that blocks
/// blocks that thread alone, and one that panics is counted.
#[derive(Debug)]
pub(crate) struct Reporter<P: Stamped> {
    environment: Environment,
    started: Duration,
    every: Duration,
    state: Mutex<State<P>>,
    mailbox: Option<Arc<Mailbox<P>>>,
}

#[derive(Debug)]
struct State<P> {
    progress: P,
    last_sent: Option<Duration>,
}

#[derive(Debug)]
struct Mailbox<P> {
    slots: Mutex<Slots<P>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Slots<P> {
    first: Option<P>,
    newest: Option<P>,
    last: Option<P>,
    panics: u64,
    finished: bool,
}

/// What the callbacks did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CallbackFaults {
    pub(crate) panics: u64,
    pub(crate) blocked: u64,
}

impl<P: Stamped> Reporter<P> {
    /// How long the end of a run waits for callbacks that are still running.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// Starts with the first progress and notifies the callbacks of it.
    pub(crate) fn begin(
        options: ProgressOptions<P>,
        environment: &Environment,
        progress: P,
    ) -> Self {
        let started = environment.clock.monotonic();
        let every = options.every.unwrap_or(Duration::from_millis(200));
        let wanted = !options.callbacks.is_empty() || !options.completed.is_empty();
        let mailbox = wanted.then(|| Mailbox::deliver_to(options));
        let state = Mutex::new(State {
            progress,
            last_sent: None,
        });
        let reporter = Self {
            environment: environment.clone(),
            started,
            every,
            state,
            mailbox,
        };
        reporter.update(|_| {});
        reporter
    }

    /// Updates the progress and notifies the callbacks, rate-limited.
    pub(crate) fn update(&self, change: impl FnOnce(&mut P)) {
        let now = self.environment.clock.monotonic();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state.progress);
        let due = state
            .last_sent
            .is_none_or(|last| now.saturating_sub(last) >= self.every);
        let Some(mailbox) = self.mailbox.as_ref().filter(|_| due) else {
            return;
        };
        self.stamp(&mut state.progress, now);
        let first = state.last_sent.is_none();
        state.last_sent = Some(now);
        mailbox.post(|slots| {
            if first {
                slots.first = Some(state.progress.clone())
            } else {
                slots.newest = Some(state.progress.clone())
            }
        });
    }

    /// Updates the progress a last time, notifies the callbacks, and waits a little until they have
    /// received it.
    pub(crate) async fn end(&self, change: impl FnOnce(&mut P)) -> CallbackFaults {
        let Some(mailbox) = &self.mailbox else {
            return CallbackFaults::default();
        };
        let last = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut state.progress);
            self.stamp(&mut state.progress, self.environment.clock.monotonic());
            state.progress.clone()
        };
        mailbox.post(|slots| slots.last = Some(last));
        let waiting = Arc::clone(mailbox);
        // the wait has an end, so a blocked callback costs this long and no longer
        let finished = tokio::task::spawn_blocking(move || waiting.wait(Self::PATIENCE)).await;
        let panics = mailbox
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .panics;
        CallbackFaults {
            panics,
            blocked: u64::from(!finished.unwrap_or(false)),
        }
    }

    fn stamp(&self, progress: &mut P, now: Duration) {
        let elapsed = now.saturating_sub(self.started);
        progress.stamp(self.environment.clock.now(), elapsed);
    }

    /// The newest progress, whether or not a callback was notified of it.
    pub(crate) fn current(&self) -> P {
        let now = self.environment.clock.monotonic();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.stamp(&mut state.progress, now);
        state.progress.clone()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.environment
            .clock
            .monotonic()
            .saturating_sub(self.started)
    }
}

impl<P: Stamped> Drop for Reporter<P> {
    /// A run that is dropped notifies nobody any more; its thread ends.
    fn drop(&mut self) {
        if let Some(mailbox) = &self.mailbox {
            mailbox.post(|slots| slots.finished = true);
        }
    }
}

impl<P: Stamped> Mailbox<P> {
    fn deliver_to(options: ProgressOptions<P>) -> Arc<Self> {
        let mailbox = Arc::new(Self {
            slots: Mutex::new(Slots {
                first: None,
                newest: None,
                last: None,
                panics: 0,
                finished: false,
            }),
            changed: Condvar::new(),
        });
        let receiver = Arc::clone(&mailbox);
        // without the thread there are no notifications; a migration does not fail for that
        let _ = std::thread::Builder::new()
            .name("esm-progress".to_owned())
            .spawn(move || receiver.run(&options));
        mailbox
    }

    fn post(&self, change: impl FnOnce(&mut Slots<P>)) {
        change(&mut self.slots.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    fn run(&self, options: &ProgressOptions<P>) {
        loop {
            let (progress, is_last) = {
                let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
                loop {
                    if let Some(first) = slots.first.take() {
                        break (first, false);
                    }
                    if let Some(last) = slots.last.take() {
                        break (last, true);
                    }
                    if slots.finished {
                        return;
                    }
                    if let Some(newest) = slots.newest.take() {
                        break (newest, false);
                    }
                    slots = self
                        .changed
                        .wait(slots)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            };
            self.call(&options.callbacks, &progress);
            if is_last {
                self.call(&options.completed, &progress);
                return self.post(|slots| slots.finished = true);
            }
        }
    }

    fn call(&self, callbacks: &[ProgressCallback<P>], progress: &P) {
        for callback in callbacks {
            // a callback owns its state; what it left half-changed is its own
            if catch_unwind(AssertUnwindSafe(|| callback(progress))).is_err() {
                self.post(|slots| slots.panics += 1);
            }
        }
    }

    /// Waits until the last progress was delivered; `false` when that took too long.
    fn wait(&self, patience: Duration) -> bool {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let (slots, _) = self
            .changed
            .wait_timeout_while(slots, patience, |slots| !slots.finished)
            .unwrap_or_else(PoisonError::into_inner);
        slots.finished
    }
}
