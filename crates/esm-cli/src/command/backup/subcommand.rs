//! The subcommands of `esm backup`.

use clap::Subcommand;
use esm_core::Result;

use super::{check, create, delete, list, prune, restore, show, verify};
use crate::exit::Exit;
use crate::session::{Access, Session};

/// Create, check, restore and delete backups.
///
/// Backups are in the store itself, or in another one given by --backup or ESM_BACKUP.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  esm backup create --all --backup file:///backups --keep 90d
  esm backup list --backup file:///backups
  esm backup verify ID
  esm backup check --max-age 26h
  esm backup restore ID --object order/123 --as order/123-restored
  esm backup prune --yes")]
pub(crate) enum Backup {
    Create(create::Create),
    List(list::List),
    Show(show::Show),
    Verify(verify::Verify),
    Check(check::Check),
    Restore(restore::Restore),
    Delete(delete::Delete),
    Prune(prune::Prune),
}

impl Backup {
    /// Access to the store.
    pub(crate) fn access(&self) -> Access {
        match self {
            Self::Create(create) => create.access(),
            Self::List(_) | Self::Show(_) | Self::Verify(_) | Self::Check(_) => Access::Read,
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
            Self::Check(command) => command.run(session).await,
            Self::Verify(command) => command.run(session).await,
            Self::Restore(command) => command.run(session).await,
            Self::Delete(command) => command.run(session).await,
            Self::Prune(command) => command.run(session).await,
        }
    }
}
