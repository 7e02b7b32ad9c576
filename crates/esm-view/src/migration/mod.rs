//! The state of migrations: what each does now, and what it waits for.
//!
//! - `status`: the documents of `esm status`;
//! - `condition`: what a migration does now, and what it waits for;
//! - `failures`: failures of objects, equal ones as one;
//! - `annotations`: what the command line keeps in a plan;
//! - `holder`: whether the process that runs a migration is alive.

mod annotations;
mod condition;
mod failures;
mod holder;
mod status;

pub use annotations::{DOWN, TRANSFORM};
pub use condition::{Condition, Kind, transformation_fails};
pub use failures::{FailedObjects, object_failures};
pub use holder::{sign_of_life, waits_for};
pub use status::{
    Migrations, OneMigration, Shown, Unreadable, Watched, is_unfinished, reversed_by,
};
