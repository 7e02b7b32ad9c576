//! `esm backup delete`

use esm_core::{Error, ErrorKind, Result};
use esm_view::backup::ShownBackup;
use serde::Serialize;

use super::place::BackupPlace;
use super::report::backup_text;
use crate::confirm::confirmed;
use crate::exit::Exit;
use crate::migration::IdPart;
use crate::session::{Access, Session};

/// Delete a backup.
///
/// Also removes what a killed process left of an unfinished one. How long a backup with a damaged
/// manifest is to be kept is not known: add --despite-retention.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup delete backup-20260102T030405Z-1a2b3c4d --yes")]
pub(crate) struct Delete {
    /// Backup id, or at least 4 characters of its beginning or end.
    id: IdPart,
    #[command(flatten)]
    place: BackupPlace,
    /// Delete the backup even if its retention has not expired.
    #[arg(long)]
    despite_retention: bool,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
}

/// The deleted backup, unless its manifest could not be read.
#[derive(Debug, Serialize)]
struct Deleted {
    backups: Vec<ShownBackup>,
}

impl Delete {
    pub(super) fn access(&self) -> Access {
        self.place.access_to_change()
    }

    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = self.place.open(session, Access::Write).await?;
        let id = self.id.backup(&*backups).await?;
        let found = match backups.manifest(&id).await {
            Ok(manifest) => Some(ShownBackup::from(manifest)),
            Err(damage) if *damage.kind() == ErrorKind::Corrupt => {
                if !self.despite_retention {
                    return Err(damage.with_hint("add --despite-retention to delete it"));
                }
                session.output().note(damage.to_string());
                None
            }
            Err(missing) if *missing.kind() == ErrorKind::NotFound && self.yes => {
                backups.delete(&id).await?;
                return Err(missing);
            }
            Err(error) => return Err(error),
        };
        let now = session.environment().clock.now();
        if let Some(backup) = found.as_ref().filter(|backup| backup.is_kept(now))
            && !self.despite_retention
        {
            let message = format!("backup is retained {}: {}", backup.retained(), id);
            return Err(Error::new(ErrorKind::Conflict { actual: None }, message)
                .with_hint("add --despite-retention to delete it"));
        }
        if !self.yes {
            if let Some(backup) = &found {
                session
                    .output()
                    .note(backup_text(backup, session.output().note_form()));
            }
            if !confirmed(session.output(), session.interrupt(), "delete this backup?").await? {
                session.output().note("nothing was deleted");
                return Ok(Exit::Success);
            }
        }
        backups.delete(&id).await?;
        let deleted = Deleted {
            backups: found.into_iter().collect(),
        };
        session
            .output()
            .result(&deleted, |_, _| format!("deleted: {}", id))?;
        Ok(Exit::Success)
    }
}
