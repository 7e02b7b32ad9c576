//! `esm backup verify`

use esm_core::Result;
use esm_core::id::BackupId;
use serde::Serialize;

use super::Place;
use crate::backup;
use crate::exit::Exit;
use crate::output::count;
use crate::progress::Unit;
use crate::session::{Access, Session};

/// Read a whole backup and compare it with its checksums, counts and hashes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with 9 when the backup is damaged.

Examples:
  esm backup verify backup-20260102T030405Z-1a2b3c4d --backup file:///var/backups/esm")]
pub(crate) struct Verify {
    /// The backup.
    id: BackupId,
    #[command(flatten)]
    place: Place,
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
        let backups = session
            .backups_at(self.place.address.as_deref(), Access::Read)
            .await?;
        let events = backups.manifest(&self.id).await?.events;
        let progress = session.progress("verify", Unit::Events, Some(events));
        let verified = backup::service(session, &backups, &progress)
            .verify(&self.id)
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
                "sound: {} events of {} objects",
                count(s.events),
                count(s.sections)
            )
        })?;
        Ok(Exit::Success)
    }
}
