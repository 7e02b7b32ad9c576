//! Which backups there are, and whether they are sound.

mod check;
mod filter;

pub use check::{BackupDamage, CheckedBackups, ReadData};
pub use filter::BackupFilter;
