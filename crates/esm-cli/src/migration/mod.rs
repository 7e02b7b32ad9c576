//! What commands share about migrations.
//!
//! - `service`: the library's service, and the progress display of a run;
//! - `program`: reads the program of a migration from files;
//! - `places`: other stores of a migration; rebuilding a migration from a plan, saved or journaled;
//! - `find`: what an abbreviated id means;
//! - `control`: commands to a migration that runs in another process;
//! - `failures`: the events that a transformation fails on;
//! - `run_progress`: the progress of a run in figures and words;
//! - `report`, `show_plan`: output for runs and plans;
//! - `compare`: verification of a completed migration.

mod compare;
mod control;
mod failures;
mod find;
mod places;
mod program;
mod report;
mod run_progress;
mod service;
mod show_plan;

pub(crate) use esm_view::migration::{
    Condition, Kind, Program, Role, sign_of_life, transformation, waits_for,
};

pub(crate) use compare::{Compared, Mappers, compare};
pub(crate) use control::{
    DAMAGED, refuse_damaged, report_answer, send, the_only_one, the_only_reversible,
    unless_stopped, until_answered, within,
};
pub(crate) use find::IdPart;
pub(crate) use places::{Places, as_planned, resumed, service_of};
pub(crate) use program::{annotate, chosen_program, read_program, read_upcasters};
pub(crate) use report::{Expected, finish, mend_the_program, next_step};
pub(crate) use run_progress::run_figures;
pub(crate) use service::{author, holder, service, watched};
pub(crate) use show_plan::{plan_exit, plan_text};
