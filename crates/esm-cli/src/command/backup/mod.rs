//! `esm backup`: a subcommand a file.

mod create;
mod delete;
mod list;
mod prune;
mod report;
mod restore;
mod show;
mod verify;

pub(crate) use create::tags;

use clap::Subcommand;
use esm_core::Result;

use crate::exit::Exit;
use crate::session::{Access, Session};

/// Write, verify, restore and delete backups.
///
/// Backups lie in the store itself, or at an address of their own, given by --backup or ESM_BACKUP.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  esm backup create --all --backup file:///var/backups/esm --keep 90d
  esm backup list --backup file:///var/backups/esm
  esm backup verify ID
  esm backup restore ID --object order/123 --as order/123-restored
  esm backup prune --yes")]
pub(crate) enum Backup {
    Create(create::Create),
    List(list::List),
    Show(show::Show),
    Verify(verify::Verify),
    Restore(restore::Restore),
    Delete(delete::Delete),
    Prune(prune::Prune),
}

/// Where backups are.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Place {
    /// Where backups are, if not in the store itself: a URL like that of --store.
    #[arg(long = "backup", env = "ESM_BACKUP", value_name = "URL")]
    address: Option<String>,
}

impl Backup {
    /// What it may do to the store.
    pub(crate) fn access(&self) -> Access {
        match self {
            Self::Create(create) => create.access(),
            Self::List(_) | Self::Show(_) | Self::Verify(_) => Access::Read,
            // into another store than it came from, too
            Self::Restore(_) => Access::Write,
            Self::Delete(delete) => delete.access(),
            Self::Prune(prune) => prune.access(),
        }
    }

    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        match self {
            Self::Create(command) => command.run(session).await,
            Self::List(command) => command.run(session).await,
            Self::Show(command) => command.run(session).await,
            Self::Verify(command) => command.run(session).await,
            Self::Restore(command) => command.run(session).await,
            Self::Delete(command) => command.run(session).await,
            Self::Prune(command) => command.run(session).await,
        }
    }
}
