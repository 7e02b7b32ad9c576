//! Functions of the user's own at the turns of a migration.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::Serialize;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::clock::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{MigrationId, ObjectId};

/// A turn of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HookPoint {
    /// What is to be done is known and was checked; nothing is touched. May be vetoed.
    Planned,
    /// The lock is held and the plan is in the journal; nothing is copied. May be vetoed.
    Started,
    /// An object's events were copied and compared for the first time. May be vetoed.
    Verified,
    /// An object could cut over now: it waits for the command or the window, if it is to wait for
    /// one. Once for each object and run. May be vetoed.
    Ready,
    /// An object is about to be closed for the first time. May be vetoed.
    BeforeCutover,
    /// An object has cut over, and its document says so.
    AfterCutover,
    /// What had not passed its pivot was undone.
    RolledBack,
    /// The run ended with an error, or an object did.
    Failed,
}

impl HookPoint {
    /// Whether a hook may stop the migration here.
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

/// What a hook is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HookEvent {
    /// The migration.
    pub migration: MigrationId,
    /// Where it stands.
    pub point: HookPoint,
    /// The object that stands there; absent where it is the migration as a whole.
    pub object: Option<ObjectId>,
    /// What went wrong, where something did.
    pub error: Option<String>,
}

impl HookEvent {
    /// The migration as a whole stands there.
    pub(crate) fn of(migration: MigrationId, point: HookPoint) -> Self {
        Self {
            migration,
            point,
            object: None,
            error: None,
        }
    }

    /// Of this object.
    pub(crate) fn with_object(mut self, object: &ObjectId) -> Self {
        self.object = Some(object.clone());
        self
    }

    /// Because of this.
    pub(crate) fn with_error(mut self, error: &Error) -> Self {
        self.error = Some(error.to_string());
        self
    }
}

type HookFn =
    dyn Fn(HookEvent) -> BoxFuture<'static, std::result::Result<(), String>> + Send + Sync;

/// Functions of the user's own, called one after another in the order in which they were given.
///
/// A hook that answers an error, panics or takes too long stops the migration where it
/// [may veto](Self::veto), before anything more is written, and resumable; elsewhere it is counted
/// in the report, and changes nothing.
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
    /// How long a hook may take unless told.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// How long the hooks that are added after this may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Tells this function.
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

    /// Asks this function, which may stop the migration; see [`HookPoint::may_be_vetoed`].
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

    /// As [`on`](Self::on), for a function that may block its thread.
    #[must_use]
    pub fn on_blocking<F>(self, point: HookPoint, name: impl Into<String>, hook: F) -> Self
    where
        F: Fn(HookEvent) -> std::result::Result<(), String> + Send + Sync + 'static,
    {
        self.add(point, name.into(), false, blocking(hook))
    }

    /// As [`veto`](Self::veto), for a function that may block its thread.
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

    /// Whether there are hooks of this point.
    pub(crate) fn any(&self, point: HookPoint) -> bool {
        self.hooks.iter().any(|hook| hook.point == point)
    }

    /// # Errors
    /// `Invalid` for a veto where there is nothing to veto any more.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = (self.hooks.iter()).find(|h| h.vetoes && !h.point.may_be_vetoed());
        match wrong {
            Some(hook) => Err(Error::invalid(format!(
                "hook {:?} cannot veto what has happened: {}",
                hook.name, hook.point
            ))
            .with_hint("let it veto an earlier point")),
            None => Ok(()),
        }
    }

    /// Calls the hooks of a point; answers how many of those that may not veto went wrong.
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
                let message = format!("hook {:?} says no, {}: {reason}", hook.name, hook.point);
                return Err(Error::new(ErrorKind::Cancelled, message)
                    .with_hint("nothing more was done; resume the migration to ask again"));
            }
            warn!(hook = hook.name, point = %hook.point, reason, "a hook went wrong");
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
        // on a task of its own, so that a panic is its own
        let mut call = AbortOnDropHandle::new(tokio::spawn((self.call)(event)));
        tokio::select! {
            answer = &mut call => answer.unwrap_or_else(|_| Err("it panicked".to_owned())),
            () = environment.clock.sleep(self.timeout) => {
                Err(format!("it did not answer within {:?}", self.timeout))
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
            call.await.unwrap_or_else(|_| Err("it panicked".to_owned()))
        })
    })
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.hooks.iter().map(|h| (h.point, &h.name));
        f.debug_list().entries(names).finish()
    }
}
