//! Which calls fail, and how.

use std::fmt;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::Gate;
use crate::tap::{Operation, OperationLog};

/// What happens to a call.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records as _};
/// use esm_testkit::faults::{At, Fault, FaultPlan};
/// use esm_testkit::memory::MemoryRecords;
///
/// for (fault, stored_bodies) in [(Fault::FailBefore, 0), (Fault::FailAfter, 1)] {
///     let stored = MemoryRecords::new();
///     let plan = FaultPlan::new().with(At::Operation(0), fault);
///     let records = plan.actor("app").records(Arc::new(stored.clone()));
///     assert!(records.put(&RecordKey::Index, 0, "{}".into()).await.is_err());
///     assert_eq!(stored.snapshot(&RecordKey::Index).len(), stored_bodies);
/// }
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is not made. The caller gets `Unavailable`.
    FailBefore,
    /// It is made, and its response is lost: the caller gets `Ambiguous`, of a read `Unavailable`.
    FailAfter,
    /// It is made twice. The caller gets the first result.
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
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records as _};
/// use esm_testkit::faults::{At, Fault, FaultPlan, Interjection};
/// use esm_testkit::memory::MemoryRecords;
///
/// let stored = MemoryRecords::new();
/// let rival = stored.clone();
/// let step = Interjection::new(move || {
///     let rival = rival.clone();
///     async move { rival.put(&RecordKey::Index, 0, "theirs".into()).await.expect("it is free") }
/// });
/// let plan = FaultPlan::new().with(At::Named("records.put", 0), Fault::Interject(step));
/// let records = plan.actor("app").records(Arc::new(stored.clone()));
/// assert!(records.put(&RecordKey::Index, 0, "mine".into()).await.is_err());
/// assert_eq!(stored.snapshot(&RecordKey::Index), ["theirs"]);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Interjection(Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>);

impl Interjection {
    /// Returns a step that runs this.
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

/// Selects calls.
///
/// ```
/// use esm_testkit::faults::{At, Fault, FaultPlan};
///
/// let plan = FaultPlan::new()
///     .with(At::Operation(0), Fault::FailBefore) // the first call of anybody
///     .with(At::OfActor("migrator".into(), 7), Fault::FailAfter) // its eighth
///     .with(At::Named("event_store.close", 0), Fault::CrashAfter) // the first Close
///     .with(At::Each("event_store.append"), Fault::Duplicate); // all appends
/// assert!(plan.log().is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// The call with this number among all calls, from 0.
    Operation(u64),
    /// The call with this number among the calls of this actor, from 0.
    OfActor(String, u64),
    /// The call with this number among the calls of this name, from 0: `event_store.close`.
    Named(&'static str, u64),
    /// Every call of this name.
    Each(&'static str),
}

/// Checks the storage after every call.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records as _};
/// use esm_testkit::faults::{FaultPlan, Watch};
/// use esm_testkit::memory::MemoryRecords;
/// use esm_testkit::tap::{Effect, Operation};
///
/// #[derive(Debug)]
/// struct NothingIsWritten;
///
/// #[async_trait::async_trait]
/// impl Watch for NothingIsWritten {
///     async fn check(&self, operation: &Operation) -> Result<(), String> {
///         match operation.call.effect {
///             Effect::Read => Ok(()),
///             Effect::Write => Err("something was written".to_owned()),
///         }
///     }
/// }
///
/// let plan = FaultPlan::new().watched_by(Arc::new(NothingIsWritten));
/// let records = plan.actor("app").records(Arc::new(MemoryRecords::new()));
/// records.put(&RecordKey::Index, 0, "{}".into()).await?;
/// assert_eq!(plan.violations()[0].what, "something was written");
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[async_trait]
pub trait Watch: Send + Sync + Debug + 'static {
    /// Checks the storage after this call took effect, before the caller gets the result.
    ///
    /// # Errors
    /// The violation, for people.
    async fn check(&self, operation: &Operation) -> Result<(), String>;
}

/// A violation that a [`Watch`] found, and the call after which it did.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records};
/// use esm_testkit::faults::{FaultPlan};
/// use esm_testkit::memory::MemoryRecords;
///
/// let plan = FaultPlan::new().limited_to(1);
/// let process = plan.actor("app");
/// let records = process.records(Arc::new(MemoryRecords::new()));
/// let twice = async {
///     records.latest(&RecordKey::Index).await?;
///     records.latest(&RecordKey::Index).await
/// };
/// assert!(process.run(twice).await.is_err());
/// let violation = &plan.violations()[0];
/// assert_eq!((violation.after.index, violation.what.as_str()), (1, "there is no end to it"));
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The call.
    pub after: Operation,
    /// The violation.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {}: {}", self.after, self.what)
    }
}

/// Which calls fail, and how. A handle: clones are the same plan.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::ErrorKind;
/// use esm_core::store::{RecordKey, Records as _};
/// use esm_testkit::faults::{At, Fault, FaultPlan};
/// use esm_testkit::memory::MemoryRecords;
///
/// let plan = FaultPlan::new().with(At::Named("records.put", 0), Fault::FailAfter);
/// let records = plan.actor("app").records(Arc::new(MemoryRecords::new()));
/// let lost = records.put(&RecordKey::Index, 0, "{}".into()).await.unwrap_err();
/// assert_eq!(*lost.kind(), ErrorKind::Ambiguous);
/// assert!(records.latest(&RecordKey::Index).await?.is_some()); // it did happen
/// assert_eq!(plan.log().names()["records.put"], 1);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
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
    /// The number of operations that are allowed.
    limit: Option<u64>,
}

impl FaultPlan {
    /// Returns a plan without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault. Of several for the same call the first applies.
    #[must_use]
    pub fn with(self, at: At, fault: Fault) -> Self {
        self.inject(at, fault);
        self
    }

    /// As [`with`](Self::with), for a plan that is in use.
    pub fn inject(&self, at: At, fault: Fault) {
        self.lock().faults.push((at, fault));
    }

    /// Adds a check of the storage after every call.
    #[must_use]
    pub fn watched_by(self, watch: Arc<dyn Watch>) -> Self {
        self.lock().watches.push(watch);
        self
    }

    /// Limits the number of calls. More calls are a violation and crash their caller, so that a
    /// process that does not terminate ends.
    #[must_use]
    pub fn limited_to(self, operations: u64) -> Self {
        self.lock().limit = Some(operations);
        self
    }

    /// Returns the calls.
    pub fn log(&self) -> &OperationLog {
        &self.log
    }

    /// Returns the violations that the watches found, in order.
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
            At::Each(name) => *name == operation.call.name,
        };
        let state = self.lock();
        let found = state.faults.iter().find(|(at, _)| hits(at));
        found.map(|(_, fault)| fault.clone())
    }

    /// Returns whether this call exceeds the limit.
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
