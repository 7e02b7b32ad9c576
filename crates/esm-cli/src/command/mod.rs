//! The commands: a file each, with its arguments, its run and its report.
//!
//! Arguments that several commands share have files of their own: `migration_args`, `backup_args`,
//! `live_args`, `limit_args`, `lock_args`. Each applies its options to the library's builder itself.

mod amend;
mod archive;
mod backup;
mod backup_args;
mod completions;
mod config;
#[cfg(feature = "console")]
mod console;
mod doctor;
mod export;
mod finish;
mod import;
mod layout;
mod limit_args;
mod list;
mod live_args;
mod lock;
mod lock_args;
mod man;
mod migrate;
mod migration_args;
mod plan;
#[cfg(feature = "console")]
mod proxy_args;
mod read;
mod repair;
mod resume;
mod rollback;
mod show;
mod status;
mod steer;
mod store;
mod transform;
mod upcasters;
mod verify;
mod watch;

pub(crate) use archive::Archive;
pub(crate) use backup::Backup;
pub(crate) use completions::Completions;
pub(crate) use config::ConfigCommand;
#[cfg(feature = "console")]
pub(crate) use console::Console;
pub(crate) use doctor::Doctor;
pub(crate) use export::Export;
pub(crate) use finish::Finish;
pub(crate) use import::Import;
pub(crate) use layout::LayoutCommand;
pub(crate) use list::List;
pub(crate) use lock::Lock;
pub(crate) use man::Man;
pub(crate) use migrate::Migrate;
pub(crate) use plan::Plan;
pub(crate) use read::Read;
pub(crate) use repair::Repair;
pub(crate) use resume::Resume;
pub(crate) use rollback::Rollback;
pub(crate) use show::Show;
pub(crate) use status::Status;
pub(crate) use steer::{Cancel, Cutover, Pause, Set};
pub(crate) use store::StoreCommand;
pub(crate) use transform::Transform;
pub(crate) use upcasters::UpcastersCommand;
pub(crate) use verify::Verify;
pub(crate) use watch::Watch;
