//! The state of migrations: what each does now, and what it waits for.
//!
//! - `status`: the documents of `esm status`;
//! - `condition`: what a migration does now, and what it waits for;
//! - `failures`: failures of objects, equal ones as one;
//! - `program`: the program of a migration, as its plan keeps it;
//! - `holder`: whether the process that runs a migration is alive.

mod condition;
mod failures;
mod holder;
mod program;
mod status;

pub use condition::{Condition, Kind, transformation_fails};
pub use failures::{FailedObjects, object_failures};
pub use holder::{sign_of_life, waits_for};
pub use program::{Program, ProgramFile, Role, transformation};
pub use status::{
    Migrations, OneMigration, Shown, Unreadable, Watched, is_unfinished, reversed_by,
};
