//! Steering a migration from any other process: durable commands, and their answers.
//!
//! Commands are appended to a record of their own, which the migrator reads every second. It
//! answers each in the same place.

mod handle;
pub(crate) mod log;
pub(crate) mod progress_record;
pub(crate) mod steering;
mod watch;

pub use handle::{CommandReceipt, MigrationControl};
pub use steering::ControlOptions;
pub use watch::WatchedMigration;
