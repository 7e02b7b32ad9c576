//! What was called, in order.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use esm_core::{ErrorKind, Result};

use super::{Call, Effect};

/// One call, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its number among the calls of all actors, from 0.
    pub index: u64,
    /// Who called.
    pub actor: String,
    /// Its number among the calls of this actor, from 0.
    pub of_actor: u64,
    /// What was called.
    pub call: Call,
    /// What the caller learned; absent while the call is under way.
    pub outcome: Option<Outcome>,
}

/// What a caller learned of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Ok,
    /// It failed.
    Err(ErrorKind),
    /// Nothing: the caller crashed.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// That change nothing.
    pub reads: u64,
    /// That may change something.
    pub writes: u64,
}

/// The calls of all actors. A handle: clones share the log.
#[derive(Debug, Clone, Default)]
pub struct OperationLog(Arc<Mutex<Vec<Operation>>>);

impl OperationLog {
    /// No calls.
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

    /// All calls, in the order in which they began.
    pub fn operations(&self) -> Vec<Operation> {
        self.lock().clone()
    }

    /// Number of calls.
    pub fn len(&self) -> u64 {
        self.lock().len() as u64
    }

    /// Whether nothing was called.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was called how often.
    pub fn names(&self) -> BTreeMap<&'static str, u64> {
        let mut names = BTreeMap::new();
        for operation in self.lock().iter() {
            *names.entry(operation.call.name).or_default() += 1;
        }
        names
    }

    /// Reads and writes by trait: `event_store`, `records`, `locks`, `backups`.
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
