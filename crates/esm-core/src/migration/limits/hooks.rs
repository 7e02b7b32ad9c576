//! User callbacks at defined points of a migration.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::clock::{Environment, readable};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{MigrationId, ObjectId};

/// A point of a migration at which hooks are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HookPoint {
    /// The migration is planned and checked; nothing is written. May be vetoed.
    Planned,
    /// The lock is held and the plan is in the journal; nothing is copied. May be vetoed.
    Started,
    /// An object's events were copied and compared for the first time. May be vetoed.
    Verified,
    /// An object is ready to cut over; it now waits for the cutover command or window, if one is
    /// required. Called once for each object and run. May be vetoed.
    Ready,
    /// An object is about to be closed for the first time. May be vetoed.
    BeforeCutover,
    /// An object has cut over, and its document is updated.
    AfterCutover,
    /// The objects that had not passed their pivot were undone.
    RolledBack,
    /// The run or an object failed.
    Failed,
}

impl HookPoint {
    /// Returns whether a hook may stop the migration at this point.
    pub fn may_be_vetoed(self) -> bool {
        self <= Self::BeforeCutover
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Planned => "planned",
            Self::Started => "started",
            Self::Verified => "verified",
            Self::Ready => "ready",
            Self::BeforeCutover => "before the cutover",
            Self::AfterCutover => "after the cutover",
            Self::RolledBack => "rolled back",
            Self::Failed => "failed",
        })
    }
}

/// The event that a hook receives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HookEvent {
    /// The migration.
    pub migration: MigrationId,
    /// The point that the migration reached.
    pub point: HookPoint,
    /// The object that reached the point; absent for the migration as a whole.
    pub object: Option<ObjectId>,
    /// The error, at a point that follows one.
    pub error: Option<String>,
}

impl HookEvent {
    /// Returns the event of the migration as a whole.
    pub(crate) fn of(migration: MigrationId, point: HookPoint) -> Self {
        Self {
            migration,
            point,
            object: None,
            error: None,
        }
    }

    /// Sets the object.
    pub(crate) fn with_object(mut self, object: &ObjectId) -> Self {
        self.object = Some(object.clone());
        self
    }

    /// Sets the error.
    pub(crate) fn with_error(mut self, error: &Error) -> Self {
        self.error = Some(error.to_string());
        self
    }
}

const PANICKED: &str = "the hook panicked";

type HookFn =
    dyn Fn(HookEvent) -> BoxFuture<'static, std::result::Result<(), String>> + Send + Sync;

/// User callbacks, called one after another in the order of their registration.
///
/// A hook fails if it returns an error, panics or times out. A failed [veto](Self::veto) hook stops
/// the migration before its next write; the migration stays resumable. Any other failed hook is
/// counted in the report and has no further effect.
#[derive(Clone, Default)]
pub struct Hooks {
    hooks: Vec<Hook>,
    timeout: Option<Duration>,
}

#[derive(Clone)]
struct Hook {
    point: HookPoint,
    name: String,
    vetoes: bool,
    timeout: Duration,
    call: Arc<HookFn>,
}

impl Hooks {
    /// Default timeout of a hook.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// Sets the timeout of the hooks that are added after this call. Defaults to
    /// [`TIMEOUT`](Self::TIMEOUT).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Adds a hook that observes a point and cannot stop the migration.
    #[must_use]
    pub fn on<F, Fut>(self, point: HookPoint, name: impl Into<String>, hook: F) -> Self
    where
        F: Fn(HookEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::result::Result<(), String>> + Send + 'static,
    {
        self.add(
            point,
            name.into(),
            false,
            Arc::new(move |e| Box::pin(hook(e))),
        )
    }

    /// Adds a hook that may stop the migration; see [`HookPoint::may_be_vetoed`].
    #[must_use]
    pub fn veto<F, Fut>(self, point: HookPoint, name: impl Into<String>, hook: F) -> Self
    where
        F: Fn(HookEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::result::Result<(), String>> + Send + 'static,
    {
        self.add(
            point,
            name.into(),
            true,
            Arc::new(move |e| Box::pin(hook(e))),
        )
    }

    /// Adds a hook as [`on`](Self::on) does, for a function that may block its thread.
    #[must_use]
    pub fn on_blocking<F>(self, point: HookPoint, name: impl Into<String>, hook: F) -> Self
    where
        F: Fn(HookEvent) -> std::result::Result<(), String> + Send + Sync + 'static,
    {
        self.add(point, name.into(), false, blocking(hook))
    }

    /// Adds a hook as [`veto`](Self::veto) does, for a function that may block its thread.
    #[must_use]
    pub fn veto_blocking<F>(self, point: HookPoint, name: impl Into<String>, hook: F) -> Self
    where
        F: Fn(HookEvent) -> std::result::Result<(), String> + Send + Sync + 'static,
    {
        self.add(point, name.into(), true, blocking(hook))
    }

    fn add(mut self, point: HookPoint, name: String, vetoes: bool, call: Arc<HookFn>) -> Self {
        let timeout = self.timeout.unwrap_or(Self::TIMEOUT);
        self.hooks.push(Hook {
            point,
            name,
            vetoes,
            timeout,
            call,
        });
        self
    }

    /// Returns whether there are hooks at this point.
    pub(crate) fn any(&self, point: HookPoint) -> bool {
        self.hooks.iter().any(|hook| hook.point == point)
    }

    /// Checks that every veto hook is at a point that may be vetoed.
    ///
    /// # Errors
    /// `Invalid`, naming the hook and its point.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = (self.hooks.iter()).find(|h| h.vetoes && !h.point.may_be_vetoed());
        match wrong {
            Some(hook) => Err(Error::invalid(format!(
                "hook {:?} cannot veto at this point: {}",
                hook.name, hook.point
            ))
            .with_hint("veto an earlier point, or register it with `on`")),
            None => Ok(()),
        }
    }

    /// Calls the hooks of a point; returns how many hooks without a veto failed.
    ///
    /// # Errors
    /// `Cancelled` for a veto, naming the hook and its reason.
    pub(crate) async fn call(&self, environment: &Environment, event: HookEvent) -> Result<u64> {
        let mut faults = 0;
        for hook in self.hooks.iter().filter(|hook| hook.point == event.point) {
            let Err(reason) = hook.call(environment, event.clone()).await else {
                continue;
            };
            if hook.vetoes {
                let message = format!("hook {:?} vetoed ({}): {reason}", hook.name, hook.point);
                return Err(Error::new(ErrorKind::Cancelled, message).with_hint(
                    "nothing was written after it; resume the migration to call the hook again",
                ));
            }
            warn!(hook = hook.name, point = %hook.point, reason, "hook failed");
            faults += 1;
        }
        Ok(faults)
    }
}

impl Hook {
    async fn call(
        &self,
        environment: &Environment,
        event: HookEvent,
    ) -> std::result::Result<(), String> {
        // in a separate task, so that a panic does not reach the run
        let mut call = AbortOnDropHandle::new(tokio::spawn((self.call)(event)));
        tokio::select! {
            result = &mut call => result.unwrap_or_else(|_| Err(PANICKED.to_owned())),
            () = environment.clock.sleep(self.timeout) => {
                Err(format!("the hook timed out after {}", readable(self.timeout)))
            }
        }
    }
}

fn blocking<F>(hook: F) -> Arc<HookFn>
where
    F: Fn(HookEvent) -> std::result::Result<(), String> + Send + Sync + 'static,
{
    let hook = Arc::new(hook);
    Arc::new(move |event| {
        let hook = Arc::clone(&hook);
        Box::pin(async move {
            let call = tokio::task::spawn_blocking(move || hook(event));
            call.await.unwrap_or_else(|_| Err(PANICKED.to_owned()))
        })
    })
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.hooks.iter().map(|h| (h.point, &h.name));
        f.debug_list().entries(names).finish()
    }
}
