//! Tests a user's own transformation and migration.

mod check;
mod describe;
mod folds;
mod prefixes;
mod run;

pub use describe::{World, WorldOutcome};
