//! `esm backup verify`

use esm_core::Result;
use esm_core::id::BackupId;
use serde::Serialize;

use super::place::BackupPlace;
use crate::backup;
use crate::exit::Exit;
use crate::migration::IdPart;
use crate::output::counted;
use crate::progress::Unit;
use crate::session::{Access, Session};

/// Verify the checksums, counts and hashes of a backup.
///
/// Reads the whole backup. Exits with 9 if it is damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup verify backup-20260102T030405Z-1a2b3c4d --backup file:///backups")]
pub(crate) struct Verify {
    /// Backup id, or at least 4 characters of its beginning or end.
    id: IdPart,
    #[command(flatten)]
    place: BackupPlace,
}

#[derive(Debug, Serialize)]
struct Sound {
    backup: BackupId,
    sound: bool,
    sections: u64,
    events: u64,
}

impl Verify {
    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = self.place.open(session, Access::Read).await?;
        let id = self.id.backup(&*backups).await?;
        let events = backups.manifest(&id).await?.events;
        let progress = session.progress("verify", Unit::Events, Some(events));
        let verified = backup::service(session, &backups, &progress)
            .verify(&id)
            .await;
        progress.end();
        let manifest = verified?;
        let sound = Sound {
            backup: manifest.id,
            sound: true,
            sections: manifest.sections,
            events: manifest.events,
        };
        session.output().result(&sound, |s, _| {
            format!(
                "sound: {} of {}",
                counted(s.events, "event"),
                counted(s.sections, "object")
            )
        })?;
        Ok(Exit::Success)
    }
}
