//! `esm backup list`

use esm_core::Result;

use super::place::BackupPlace;
use super::report::ShownBackups;
use crate::exit::Exit;
use crate::session::{Access, Session};

/// List backups and archives, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup list
  esm backup list --backup file:///backups --output json | jq '.backups[].id'")]
pub(crate) struct List {
    #[command(flatten)]
    place: BackupPlace,
}

impl List {
    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = self.place.open(session, Access::Read).await?;
        let shown = ShownBackups::collect(backups.list()).await?;
        session.output().result(&shown, ShownBackups::text)?;
        Ok(Exit::Success)
    }
}
