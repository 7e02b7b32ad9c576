//! The calls, in order.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use esm_core::id::StreamId;
use esm_core::{ErrorKind, Result};

use super::{Call, Effect};

/// A call and its outcome.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records};
/// use esm_testkit::faults::{At, Fault, FaultPlan};
/// use esm_testkit::memory::MemoryRecords;
/// use esm_testkit::tap::Operation;
///
/// let plan = FaultPlan::new().with(At::Operation(0), Fault::FailBefore);
/// let records = plan.actor("app").records(Arc::new(MemoryRecords::new()));
/// assert!(records.latest(&RecordKey::Index).await.is_err());
/// records.put(&RecordKey::Index, 0, "{}".into()).await?;
/// let calls: Vec<Operation> = plan.log().operations();
/// assert_eq!((calls[1].index, calls[1].actor.as_str()), (1, "app"));
/// assert_eq!(calls[1].to_string(), "1 app records.put Index #0");
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its number among the calls of all actors, from 0.
    pub index: u64,
    /// The name of the caller.
    pub actor: String,
    /// Its number among the calls of this actor, from 0.
    pub of_actor: u64,
    /// The call.
    pub call: Call,
    /// What its caller got; absent while the call is under way.
    pub outcome: Option<Outcome>,
}

/// What the caller of a call got.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::ErrorKind;
/// use esm_core::store::{RecordKey, Records};
/// use esm_testkit::faults::{At, Fault, FaultPlan};
/// use esm_testkit::memory::MemoryRecords;
/// use esm_testkit::tap::Outcome;
///
/// let plan = FaultPlan::new().with(At::Operation(0), Fault::FailBefore);
/// let records = plan.actor("app").records(Arc::new(MemoryRecords::new()));
/// assert!(records.latest(&RecordKey::Index).await.is_err());
/// records.put(&RecordKey::Index, 0, "{}".into()).await?;
/// let outcomes: Vec<_> = plan.log().operations().into_iter().map(|call| call.outcome).collect();
/// assert_eq!(outcomes, [Some(Outcome::Err(ErrorKind::Unavailable)), Some(Outcome::Ok)]);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Ok,
    /// It failed.
    Err(ErrorKind),
    /// Nothing, because the caller crashed.
    Crashed,
}

impl Outcome {
    pub(crate) fn of<T>(result: &Result<T>) -> Self {
        match result {
            Ok(_) => Self::Ok,
            Err(error) => Self::Err(error.kind().clone()),
        }
    }
}

impl Operation {
    /// Returns the stream of the call, if it may be an object's. On a native store event stores
    /// have streams for themselves.
    pub(crate) fn stream(&self) -> Option<StreamId> {
        let (of_trait, _) = self.call.name.split_once('.')?;
        let is_objects = match of_trait {
            "event_store" => true,
            "native_store" => !self.call.key.starts_with("esm-"),
            _ => false,
        };
        StreamId::new(&self.call.key).ok().filter(|_| is_objects)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, actor, call) = (self.index, &self.actor, &self.call);
        write!(f, "{index} {actor} {} {}", call.name, call.key)?;
        match &self.outcome {
            None => f.write_str(" …"),
            Some(Outcome::Ok) => Ok(()),
            Some(Outcome::Err(kind)) => write!(f, " -> {kind:?}"),
            Some(Outcome::Crashed) => f.write_str(" -> crashed"),
        }
    }
}

/// Number of calls.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records};
/// use esm_testkit::faults::{At, Fault, FaultPlan};
/// use esm_testkit::memory::MemoryRecords;
/// use esm_testkit::tap::Counts;
///
/// let plan = FaultPlan::new().with(At::Operation(0), Fault::FailBefore);
/// let records = plan.actor("app").records(Arc::new(MemoryRecords::new()));
/// assert!(records.latest(&RecordKey::Index).await.is_err());
/// records.put(&RecordKey::Index, 0, "{}".into()).await?;
/// assert_eq!(plan.log().counts()["records"], Counts { reads: 1, writes: 1 });
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls that change nothing.
    pub reads: u64,
    /// Calls that may change the storage.
    pub writes: u64,
}

/// The calls of all actors. A handle: clones share the log.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records};
/// use esm_testkit::faults::{At, Fault, FaultPlan};
/// use esm_testkit::memory::MemoryRecords;
/// use esm_testkit::tap::OperationLog;
///
/// let plan = FaultPlan::new().with(At::Operation(0), Fault::FailBefore);
/// let records = plan.actor("app").records(Arc::new(MemoryRecords::new()));
/// assert!(records.latest(&RecordKey::Index).await.is_err());
/// records.put(&RecordKey::Index, 0, "{}".into()).await?;
/// let log: &OperationLog = plan.log();
/// assert_eq!(log.len(), 2);
/// assert_eq!(log.names()["records.put"], 1);
/// print!("{log}");
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct OperationLog(Arc<Mutex<Vec<Operation>>>);

impl OperationLog {
    /// Returns an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Operation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, actor: &str, call: Call) -> Operation {
        let mut operations = self.lock();
        let operation = Operation {
            index: operations.len() as u64,
            of_actor: (operations.iter().rev())
                .find(|o| o.actor == actor)
                .map_or(0, |last| last.of_actor + 1),
            actor: actor.to_owned(),
            call,
            outcome: None,
        };
        operations.push(operation.clone());
        operation
    }

    pub(crate) fn end(&self, operation: &mut Operation, outcome: Outcome) {
        operation.outcome = Some(outcome);
        let mut operations = self.lock();
        let logged = usize::try_from(operation.index).ok();
        if let Some(logged) = logged.and_then(|at| operations.get_mut(at)) {
            *logged = operation.clone();
        }
    }

    /// Returns all calls, in the order in which they began.
    pub fn operations(&self) -> Vec<Operation> {
        self.lock().clone()
    }

    /// Returns the number of calls.
    pub fn len(&self) -> u64 {
        self.lock().len() as u64
    }

    /// Returns whether the log is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of calls by name.
    pub fn names(&self) -> BTreeMap<&'static str, u64> {
        let mut names = BTreeMap::new();
        for operation in self.lock().iter() {
            *names.entry(operation.call.name).or_default() += 1;
        }
        names
    }

    /// Returns reads and writes by trait: `event_store`, `native_store`, `records`, `locks`,
    /// `backups`.
    pub fn counts(&self) -> BTreeMap<&'static str, Counts> {
        let mut counts = BTreeMap::<_, Counts>::new();
        for operation in self.lock().iter() {
            let name = operation.call.name;
            let of_trait = name.split_once('.').map_or(name, |(of_trait, _)| of_trait);
            let counts = counts.entry(of_trait).or_default();
            match operation.call.effect {
                Effect::Read => counts.reads += 1,
                Effect::Write => counts.writes += 1,
            }
        }
        counts
    }
}

impl fmt::Display for OperationLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.lock().iter()).try_for_each(|operation| writeln!(f, "{operation}"))
    }
}
