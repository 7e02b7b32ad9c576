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

mod context;
pub(crate) mod control;
pub(crate) mod describe;
pub(crate) mod journal;
pub(crate) mod limits;
pub(crate) mod lock;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod run;
mod service;
pub(crate) mod step;

pub use crate::cutover::checks::{ComparedStreams, VerificationCheck};
pub use crate::cutover::meter::StageTimes;
pub use crate::cutover::source::down::NO_DOWN;
pub use crate::protocol::control::{Limit, SettingsChange};
pub use crate::protocol::gate::{CutoverMode, CutoverOptions};
pub use crate::protocol::phase::MigrationPhase;
pub use crate::protocol::planned::{MigrationStrategy, OnFailure, PlannedMigration, Scope};
pub use crate::protocol::routing::PublishPhases;
pub use crate::protocol::statistics::{
    ObjectFailure, ObjectFate, ObjectReport, Statistics, VerificationResult,
};
pub use crate::protocol::status::{MigrationStatus, Step};
pub use control::{CommandReceipt, ControlOptions, MigrationControl, WatchedMigration};
pub use describe::builder::MigrationBuilder;
pub use describe::options::BookClosingOptions;
pub use describe::resume::ResumeBuilder;
pub use describe::rollback::{RollBackBuilder, RollBackPlan};
pub use limits::hooks::{HookEvent, HookPoint, Hooks};
pub use limits::throttle::{ThrottleOptions, ThrottleReason};
pub use lock::held_lock::{HeldLock, LockDemand};
pub use lock::options::LockOptions;
pub use plan::plan::{Estimates, MigrationPlan, PlanDepth, SchemaFindings, SchemaReport};
pub use plan::way_back::WayBackFindings;
pub use report::progress::{Progress, ProgressOptions};
pub use report::result::MigrationResult;
pub use service::{MigrationService, MigrationState};
