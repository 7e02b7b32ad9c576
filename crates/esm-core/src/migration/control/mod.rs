//! Steering a migration from any other process: durable commands, and their answers.
//!
//! Commands are appended to a record of their own, which the migrator looks at every second. It
//! answers each in the same place. What it was told is the sum of the commands that it accepted, so
//! a migrator that takes over knows it too: a paused migration stays paused.

mod command;
mod handle;
mod log;
mod settings;
mod state;
#[cfg(test)]
mod tests;

pub use command::{Answer, Command, ControlAction, ControlEntry, ControlRecord};
pub use handle::{CommandReceipt, MigrationControl};
pub(crate) use log::ControlLog;
pub use settings::{Limit, Settings, SettingsChange};
pub use state::{ControlState, Desired, Situation, TrackedCommand, Undo, judge};
