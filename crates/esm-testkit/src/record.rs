//! Decorators that write down what is called.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::sync::Arc;
//!
//! use esm_core::store::{RecordKey, Records};
//! use esm_testkit::memory::MemoryRecords;
//! use esm_testkit::record::{RecordedRecords, Recorder};
//! use esm_testkit::tap::OperationLog;
//!
//! let log = OperationLog::new();
//! let recorder = Recorder::new("me", log.clone());
//! let records = RecordedRecords::new(Arc::new(MemoryRecords::new()), recorder);
//! records.put(&RecordKey::Index, 0, "{}".into()).await?;
//! assert_eq!(log.names()["records.put"], 1);
//! assert_eq!(log.counts()["records"].writes, 1);
//! assert_eq!(log.to_string(), "0 me records.put Index #0\n");
//! # Ok::<(), esm_core::Error>(())
//! # }).unwrap();
//! ```

use esm_core::Result;

use crate::tap::{
    Call, Operation, OperationLog, Outcome, Tap, TappedBackups, TappedEventStore, TappedLocks,
    TappedRecords,
};

/// An event store whose calls are written down.
pub type RecordedEventStore = TappedEventStore<Recorder>;
/// Versioned records whose calls are written down.
pub type RecordedRecords = TappedRecords<Recorder>;
/// A lock provider whose calls are written down.
pub type RecordedLocks = TappedLocks<Recorder>;
/// A backup provider whose calls, and those of its writers and readers, are written down.
pub type RecordedBackups = TappedBackups<Recorder>;

/// Writes the calls of one actor down into a log.
#[derive(Debug, Clone)]
pub struct Recorder {
    actor: String,
    log: OperationLog,
}

impl Recorder {
    /// Writes down into this log that this actor called.
    pub fn new(actor: impl Into<String>, log: OperationLog) -> Self {
        Self {
            actor: actor.into(),
            log,
        }
    }

    /// The log.
    pub fn log(&self) -> &OperationLog {
        &self.log
    }
}

impl Tap for Recorder {
    type Started = Operation;

    async fn begin(&self, call: Call) -> Result<Operation> {
        Ok(self.log.begin(&self.actor, call))
    }

    fn twice(&self, _started: &Operation) -> bool {
        false
    }

    async fn end<T: Send>(&self, mut started: Operation, result: Result<T>) -> Result<T> {
        self.log.end(&mut started, Outcome::of(&result));
        result
    }
}
