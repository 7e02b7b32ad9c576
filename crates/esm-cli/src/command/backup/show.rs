//! `esm backup show`

use esm_core::Result;
use esm_core::id::BackupId;

use super::Place;
use super::report::Shown;
use crate::exit::Exit;
use crate::session::{Access, Session};

/// Show what a backup says of itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// The backup.
    id: BackupId,
    #[command(flatten)]
    place: Place,
}

impl Show {
    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = session
            .backups_at(self.place.address.as_deref(), Access::Read)
            .await?;
        let shown = Shown::from(backups.manifest(&self.id).await?);
        session.output().result(&shown, Shown::text)?;
        Ok(Exit::Success)
    }
}
