//! Commands to a running migration, their answers, and the state that they add up to.
//!
//! What a migration is to do is the sum of the commands that it accepted, so a process that takes
//! it over knows it too: a paused migration stays paused.

mod command;
mod settings;
mod state;
#[cfg(test)]
mod tests;

pub use command::{Answer, Command, ControlAction, ControlEntry, ControlRecord};
pub use settings::{Limit, Settings, SettingsChange};
pub use state::{ControlState, Desired, Situation, TrackedCommand, Undo, judge};
