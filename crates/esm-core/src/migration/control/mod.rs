//! Operator control of a running migration from any process: durable commands and their answers.
//!
//! An operator appends commands to the migration's control log. The migrator polls the log every
//! second and appends its answers to it.
//!
//! | module | responsibility |
//! |---|---|
//! | `handle` | the operator's side: [`MigrationControl`], [`CommandReceipt`] |
//! | `steering` | the migrator's side: polls commands, answers them, notifies the run |
//! | `log` | reads and appends the control log |
//! | `progress_record` | publishes the progress of a run |
//! | `watch` | observes a migration from any process: [`WatchedMigration`] |

mod handle;
pub(crate) mod log;
pub(crate) mod progress_record;
pub(crate) mod steering;
mod watch;

pub use handle::{CommandReceipt, MigrationControl, Reply};
pub use log::ControlLog;
pub use steering::ControlOptions;
pub use watch::{MigrationObserver, WatchedMigration};
