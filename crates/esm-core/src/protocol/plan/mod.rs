//! The durable part of a plan: what is migrated, how, and what can be undone.

mod options;
mod planned;
mod reversal;

pub(crate) use options::cell_events;
pub use options::{BulkOptions, CopyOptions, OnFailure};
pub(crate) use planned::generation_name;
pub use planned::{BookClosing, MigrationStrategy, PlannedMigration, Scope};
pub use reversal::{Reverses, WayBack};
