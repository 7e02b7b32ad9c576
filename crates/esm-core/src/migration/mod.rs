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
//! | `lifecycle`, `drive`, `run`, `undo`, `triage`, `object`, `attempt` | the drivers: a whole run, a scope, an object, one attempt |
//! | `control/`, `steering`, `watch` | commands from other processes, heard and answered; and how it looks from there |
//! | `readiness`, `cutover`, `phases`, `hooks` | from a verified target to the Close, and who is told |
//! | `throttle`, `in_flight`, `meter`, `publish` | how fast it may go, where the time goes, and writing that down |
//! | `step/` | a file for each step of the saga |
//! | `plan`, `planner`, `progress`, `report`, `accepted` | what users are told |

mod accepted;
mod attempt;
mod batch;
mod builder;
mod checks;
mod context;
mod control;
mod cutover;
mod decide;
mod describe;
mod drive;
mod held_lock;
mod hooks;
mod in_flight;
mod journal;
mod lifecycle;
mod lock_scope;
mod meter;
mod object;
mod options;
pub mod phase;
mod phases;
mod plan;
mod planner;
mod progress;
mod publish;
mod readiness;
mod report;
mod resume;
mod reverse;
mod run;
mod run_methods;
mod scan;
mod segment;
mod service;
mod status;
mod steering;
mod step;
mod throttle;
mod triage;
mod undo;
mod watch;

pub use builder::MigrationBuilder;
pub use checks::{ComparedStreams, VerificationCheck};
pub use control::{
    Answer, Command, CommandReceipt, ControlAction, ControlEntry, ControlRecord, ControlState,
    Desired, Limit, MigrationControl, Settings, SettingsChange, Situation, TrackedCommand, Undo,
    judge as judge_command,
};
pub use cutover::{CutoverMode, CutoverOptions};
pub use decide::{
    Action, Observed, TargetState, UndoAction, Verified, next as decide, undo as decide_undo,
};
pub use describe::{BookClosingOptions, VerifyOptions};
pub use held_lock::{HeldLock, LockDemand};
pub use hooks::{HookEvent, HookPoint, Hooks};
pub use journal::{
    Batch, IllegalRecord, JournalEntry, JournalRecord, JournalState, Outcome, Stopped,
    VerifiedCheckpoint,
};
pub use meter::StageTimes;
pub use options::{
    BookClosing, BulkOptions, CopyOptions, LockOptions, MigrationStrategy, OnFailure,
    PlannedMigration, Scope,
};
pub use phase::{MigrationPhase, PhaseSignal};
pub use phases::PublishPhases;
pub use plan::{Estimates, MigrationPlan, PlanDepth, SchemaFindings, SchemaReport};
pub use progress::{Progress, ProgressCallback, ProgressOptions};
pub use report::{
    MigrationResult, ObjectFailure, ObjectFate, ObjectReport, Statistics, VerificationResult,
};
pub use resume::ResumeBuilder;
pub use reverse::{NO_DOWN, Reverses, RollBackBuilder, RollBackPlan, WayBack, WayBackFindings};
pub use service::{MigrationService, MigrationState};
pub use status::{MigrationStatus, Step};
pub use steering::ControlOptions;
pub use throttle::{ThrottleOptions, ThrottleReason};
pub use watch::WatchedMigration;

// what a restore shares with a migration
pub(crate) use attempt::{Attempt, Sight};
pub(crate) use options::generation_name;
pub(crate) use progress::{Reporter, Stamped};
pub(crate) use scan::CellScan;
pub(crate) use step::roll_back::{Undoer, Undone};
