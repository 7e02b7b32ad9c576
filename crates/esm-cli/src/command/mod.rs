//! The commands: a file each, with its arguments, its run and its report.

mod backup;
mod completions;
mod export;
mod import;
mod list;
mod live_args;
mod lock;
mod migrate;
mod migration_args;
mod plan;
mod read;
mod resume;
mod rollback;
mod run;
mod show;
mod status;
mod steer;
mod store;
mod verify;
mod watch;

use clap::Subcommand;

pub(crate) use run::run;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Import(import::Import),
    Export(export::Export),
    Plan(Box<plan::Plan>),
    Migrate(Box<migrate::Migrate>),
    Watch(watch::Watch),
    Pause(steer::Pause),
    Resume(resume::Resume),
    Cutover(steer::Cutover),
    Set(steer::Set),
    Cancel(steer::Cancel),
    Rollback(rollback::Rollback),
    Status(status::Status),
    Verify(verify::Verify),
    List(list::List),
    Show(show::Show),
    Read(read::Read),
    #[command(subcommand)]
    Backup(backup::Backup),
    #[command(subcommand)]
    Lock(lock::Lock),
    #[command(subcommand)]
    Store(store::StoreCommand),
    Completions(completions::Completions),
}
