//! Migrations: the saga that moves the events of an object to another stream.
//!
//! A [`MigrationService`] begins, resumes and undoes them. Safety rests on three compare-and-swap
//! points and on nothing else: every batch is appended at the exact tail of the target, with the
//! cursor in the same cell; the source is closed at the exact tail that was scanned and verified;
//! and every journal record is created once. So two migrators without any lock are safe, and a
//! crash at any point is resumed by looking at the streams.
//!
//! | file | idea |
//! |---|---|
//! | `service`, `builder`, `describe`, `resume`, `options` | what users call |
//! | `decide` | what to do next: pure |
//! | `phase`, `status`, `journal` | the state machines: pure, and the journal's I/O |
//! | `lifecycle`, `run`, `undo`, `object`, `attempt` | the drivers: a whole run, a scope, an object, one attempt |
//! | `step/` | a file for each step of the saga |
//! | `plan`, `planner`, `progress`, `report` | what users are told |

mod attempt;
mod batch;
mod builder;
mod checks;
mod context;
mod decide;
mod describe;
mod held_lock;
mod journal;
mod lifecycle;
mod lock_scope;
mod object;
mod options;
pub mod phase;
mod plan;
mod planner;
mod progress;
mod report;
mod resume;
mod run;
mod scan;
mod service;
mod status;
mod step;
mod undo;

pub use builder::MigrationBuilder;
pub use checks::{ComparedStreams, VerificationCheck};
pub use decide::{
    Action, Observed, TargetState, UndoAction, Verified, next as decide, undo as decide_undo,
};
pub use describe::{BackupOptions, BookClosingOptions, VerifyOptions};
pub use held_lock::{HeldLock, LockDemand};
pub use journal::{
    Batch, IllegalRecord, JournalEntry, JournalRecord, JournalState, Outcome, Stopped,
    VerifiedCheckpoint,
};
pub use options::{
    BookClosing, BulkOptions, CopyOptions, LockOptions, MigrationStrategy, OnFailure,
    PlannedMigration, Scope,
};
pub use phase::{MigrationPhase, PhaseSignal};
pub use plan::{Estimates, MigrationPlan, PlanDepth, SchemaFindings, SchemaReport};
pub use progress::{Progress, ProgressCallback, ProgressOptions};
pub use report::{
    MigrationResult, ObjectFailure, ObjectFate, ObjectReport, Statistics, VerificationResult,
};
pub use resume::ResumeBuilder;
pub use service::{MigrationService, MigrationState};
pub use status::{MigrationStatus, Step};

// what a restore shares with a migration
pub(crate) use attempt::{Attempt, Sight};
pub(crate) use options::generation_name;
pub(crate) use progress::{Reporter, Stamped};
pub(crate) use scan::CellScan;
pub(crate) use step::roll_back::{Undoer, Undone};
