//! Migrations: move the events of an object to another stream, with zero downtime.
//!
//! A [`MigrationService`] begins, resumes and rolls back migrations. Safety rests on three
//! conditional writes and on nothing else:
//!
//! - every batch is appended at the exact tail of the target, with the cursor in the same cell;
//! - the source is closed at the exact tail that was scanned and verified;
//! - every journal record is created once.
//!
//! So two migrators without a lock are safe, and a migration resumes after a crash at any point by
//! reading the streams.
//!
//! | module | contents |
//! |---|---|
//! | `service` | entry point: begins, resumes, rolls back, lists migrations |
//! | `describe/` | builders of a migration, its resumption and its rollback; checks before the first write |
//! | `plan/` | dry runs: the plan, its findings and its warnings, without a write |
//! | `run/` | drivers: the process, the scope, one object; undo of a whole migration |
//! | `step/` | the steps of one object: backup, pin, phases, readiness for the Close, closing the books |
//! | `context/` | what the work of one run shares: services, live state, the guard that ends the run |
//! | `control/` | durable commands of other processes, their results, and the published progress |
//! | `journal/` | the migration's journal: reads, and appends by compare-and-swap |
//! | `limits/` | rate limits, bounded concurrency, and the user's hooks |
//! | `lock/` | the lock of a scope, held by a heartbeat |
//! | `report/` | progress, the result of a run, the newest migrations, counts of appends by old code |

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

pub use crate::cutover::meter::StageTimes;
pub use crate::cutover::supervisor::Amount;
pub use crate::cutover::verify::checks::{ComparedStreams, VerificationCheck};
pub use crate::protocol::control::{Limit, SettingsChange};
pub use crate::protocol::gate::{CutoverMode, CutoverOptions};
pub use crate::protocol::phase::MigrationPhase;
pub use crate::protocol::plan::{MigrationStrategy, OnFailure, PlannedMigration, Scope};
pub use crate::protocol::routing::PublishPhases;
pub use crate::protocol::statistics::{
    ObjectFailure, ObjectFate, ObjectReport, Statistics, VerificationResult,
};
pub use crate::protocol::status::{MigrationStatus, Step};
pub use control::{
    CommandReceipt, ControlLog, ControlOptions, MigrationControl, MigrationObserver, Reply,
    WatchedMigration,
};
pub use describe::builder::MigrationBuilder;
pub use describe::options::BookClosingOptions;
pub use describe::resume::ResumeBuilder;
pub use describe::rollback::{RollBackBuilder, RollBackPlan};
pub use limits::hooks::{HookEvent, HookPoint, Hooks};
pub use limits::throttle::{Throttle, ThrottleOptions, ThrottleReason, Wait};
pub use lock::held_lock::{HeldLock, LockDemand};
pub use lock::options::LockOptions;
pub use plan::migration_plan::{Estimates, MigrationPlan, PlanDepth, SchemaFindings, SchemaReport};
pub use plan::way_back::WayBackFindings;
pub use report::newest::NewestMigrations;
pub use report::progress::{Progress, ProgressOptions};
pub use report::result::MigrationResult;
pub use service::{MigrationService, MigrationState};
