//! `esm backup show`

use esm_core::Result;
use esm_view::backup::ShownBackup;

use super::place::BackupPlace;
use super::report::backup_text;
use crate::exit::Exit;
use crate::migration::IdPart;
use crate::session::{Access, Session};

/// Show the manifest of a backup.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup show backup-20260102T030405Z-1a2b3c4d --backup file:///backups")]
pub(crate) struct Show {
    /// Backup id, or at least 4 characters of its beginning or end.
    id: IdPart,
    #[command(flatten)]
    place: BackupPlace,
}

impl Show {
    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = self.place.open(session, Access::Read).await?;
        let id = self.id.backup(&*backups).await?;
        let shown = ShownBackup::from(backups.manifest(&id).await?);
        session.output().result(&shown, backup_text)?;
        Ok(Exit::Success)
    }
}
