//! A user's own transformation and migration, tested.

mod describe;
mod folds;
mod prefixes;
mod run;

pub use describe::{World, WorldOutcome};
