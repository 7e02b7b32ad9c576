//! `esm backup delete`

use esm_core::id::BackupId;
use esm_core::{Error, ErrorKind, Result};

use super::place::BackupPlace;
use super::report::{ShownBackup, ShownBackups};
use crate::confirm::confirmed;
use crate::exit::Exit;
use crate::session::{Access, Session};

/// Delete a backup.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup delete backup-20260102T030405Z-1a2b3c4d --yes")]
pub(crate) struct Delete {
    /// Backup id.
    id: BackupId,
    #[command(flatten)]
    place: BackupPlace,
    /// Delete the backup even if its retention has not expired.
    #[arg(long)]
    despite_retention: bool,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
}

impl Delete {
    pub(super) fn access(&self) -> Access {
        self.place.access_to_change()
    }

    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = self.place.open(session, Access::Write).await?;
        let backup = ShownBackup::from(backups.manifest(&self.id).await?);
        let now = session.environment().clock.now();
        let kept = backup.keep_until.is_none_or(|until| until > now);
        if kept && !self.despite_retention {
            let message = format!("backup is retained {}: {}", backup.retained(), self.id);
            return Err(Error::new(ErrorKind::Conflict { actual: None }, message)
                .with_hint("add --despite-retention to delete it"));
        }
        if !self.yes {
            session.output().note(backup.text(true));
            if !confirmed(session.output(), "delete this backup?")? {
                session.output().note("nothing was deleted");
                return Ok(Exit::Success);
            }
        }
        backups.delete(&self.id).await?;
        let deleted = ShownBackups {
            backups: vec![backup],
        };
        session
            .output()
            .result(&deleted, |d, _| format!("deleted: {}", d.backups[0].id))?;
        Ok(Exit::Success)
    }
}
