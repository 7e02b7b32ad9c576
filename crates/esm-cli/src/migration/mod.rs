//! What commands share about migrations.
//!
//! - `service`: the library's service, and the progress display of a run;
//! - `program`: a jq program, from a file or from a plan;
//! - `places`: other stores of a migration; rebuilding a migration from a plan, saved or journaled;
//! - `holder`: whether the process that runs a migration is alive;
//! - `control`: commands to a migration that runs in another process;
//! - `failures`: failures in reports, equal ones as one;
//! - `report`, `show_plan`: output for runs and plans;
//! - `compare`: verification of a completed migration.

mod compare;
mod control;
mod failures;
mod holder;
mod places;
mod program;
mod report;
mod service;
mod show_plan;

pub(crate) use compare::{Compared, Mappers, compare};
pub(crate) use control::{
    DAMAGED, refuse_damaged, report_answer, send, the_only_one, until_answered, within,
};
pub(crate) use failures::object_failures;
pub(crate) use holder::{sign_of_life, waits_for};
pub(crate) use places::{Places, as_planned, resumed};
pub(crate) use program::{Program, Role};
pub(crate) use report::{Expected, finish, next_step};
pub(crate) use service::{service, watched};
pub(crate) use show_plan::{plan_exit, plan_text};
