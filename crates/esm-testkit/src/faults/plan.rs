//! Which calls go wrong, and how.

use std::fmt;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::{Actor, Gate};
use crate::tap::{Operation, OperationLog};

/// What happens to a call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is not made; the caller learns `Unavailable`.
    FailBefore,
    /// It is made, and its answer is lost: the caller learns `Ambiguous`, of a read `Unavailable`.
    FailAfter,
    /// It is made twice; the caller gets the first answer.
    Duplicate,
    /// It is not made, and the caller crashes.
    CrashBefore,
    /// It is made, and the caller crashes.
    CrashAfter,
    /// It is made when the gate opens.
    Stall(Gate),
    /// It is made after this time.
    Delay(Duration),
    /// Something else happens first.
    Interject(Interjection),
}

/// Something that happens before a call: a step of another process.
#[derive(Clone)]
pub struct Interjection(Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>);

impl Interjection {
    /// Does this.
    pub fn new<F>(step: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(move || step().boxed()))
    }

    pub(super) async fn happen(&self) {
        (self.0)().await;
    }
}

impl Debug for Interjection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interjection")
    }
}

/// Which call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// The one with this number among all calls, from 0.
    Operation(u64),
    /// The one with this number among the calls of this actor, from 0.
    OfActor(String, u64),
    /// The one with this number among the calls of this name, from 0: `event_store.close`.
    Named(&'static str, u64),
}

/// Looks at the storage after every call.
#[async_trait]
pub trait Watch: Send + Sync + Debug + 'static {
    /// After this call took effect, and before the caller learns of it.
    ///
    /// # Errors
    /// What is wrong, for people.
    async fn check(&self, operation: &Operation) -> Result<(), String>;
}

/// What a [`Watch`] found wrong, and after which call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The call.
    pub after: Operation,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {}: {}", self.after, self.what)
    }
}

/// Which calls go wrong, and how. A handle: clones are the same plan.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    log: OperationLog,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<(At, Fault)>,
    watches: Vec<Arc<dyn Watch>>,
    violations: Vec<Violation>,
    /// Number of operations after which nothing more may happen.
    limit: Option<u64>,
}

impl FaultPlan {
    /// No faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault; of several for the same call the first counts.
    #[must_use]
    pub fn with(self, at: At, fault: Fault) -> Self {
        self.inject(at, fault);
        self
    }

    /// As [`with`](Self::with), into a plan that is used already.
    pub fn inject(&self, at: At, fault: Fault) {
        self.lock().faults.push((at, fault));
    }

    /// Adds a look at the storage after every call.
    #[must_use]
    pub fn watched_by(self, watch: Arc<dyn Watch>) -> Self {
        self.lock().watches.push(watch);
        self
    }

    /// Takes it for a violation, and crashes whoever goes on, when there are more calls than this:
    /// so that a process that does not come to an end ends all the same.
    #[must_use]
    pub fn limited_to(self, operations: u64) -> Self {
        self.lock().limit = Some(operations);
        self
    }

    /// A simulated process of this name, whose calls this plan counts. An actor that crashed is
    /// gone for good: the process that starts next is another actor.
    pub fn actor(&self, name: impl Into<String>) -> Actor {
        Actor::new(name.into(), self.clone())
    }

    /// What was called.
    pub fn log(&self) -> &OperationLog {
        &self.log
    }

    /// What the watches found wrong, in order.
    pub fn violations(&self) -> Vec<Violation> {
        self.lock().violations.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fault(&self, operation: &Operation) -> Option<Fault> {
        let same_name = |name: &str| {
            let before = self.log.operations();
            let before = before.iter().filter(|o| o.call.name == name);
            before.filter(|o| o.index < operation.index).count() as u64
        };
        let hits = |at: &At| match at {
            At::Operation(index) => *index == operation.index,
            At::OfActor(actor, index) => *actor == operation.actor && *index == operation.of_actor,
            At::Named(name, index) => *name == operation.call.name && *index == same_name(name),
        };
        let state = self.lock();
        let found = state.faults.iter().find(|(at, _)| hits(at));
        found.map(|(_, fault)| fault.clone())
    }

    /// Whether this call is one too many.
    pub(super) fn is_over_limit(&self, operation: &Operation) -> bool {
        let mut state = self.lock();
        let over = state.limit.is_some_and(|limit| operation.index >= limit);
        if over {
            let (after, what) = (operation.clone(), "there is no end to it".to_owned());
            state.violations.push(Violation { after, what });
        }
        over
    }

    pub(super) async fn watch(&self, operation: &Operation) {
        let watches = self.lock().watches.clone();
        for watch in watches {
            if let Err(what) = watch.check(operation).await {
                let after = operation.clone();
                self.lock().violations.push(Violation { after, what });
            }
        }
    }
}
