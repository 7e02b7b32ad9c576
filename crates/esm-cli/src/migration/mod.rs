//! Between the command line and the library's migrations.
//!
//! - `program`: a jq program, from a file or from a plan;
//! - `description`: what is to be done, from arguments or from a plan that was saved or journalled;
//! - `service`: the service, and how a run is watched;
//! - `report`: what is shown of a run and of a plan;
//! - `compare`: source against target, long after the migration.

mod compare;
mod description;
mod program;
mod report;
mod service;
mod show_plan;

pub(crate) use compare::{Compared, Mappers, compare};
pub(crate) use description::{Books, Description, Keeping};
pub(crate) use program::Program;
pub(crate) use report::{Wanted, finish, next_step};
pub(crate) use service::{author, service, watched};
pub(crate) use show_plan::{plan_exit, plan_text};
