//! `esm backup list`

use esm_core::Result;
use futures::TryStreamExt as _;

use super::Place;
use super::report::{Shown, ShownBackups};
use crate::exit::Exit;
use crate::session::{Access, Session};

/// List backups and archives, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup list
  esm backup list --backup file:///var/backups/esm --output json | jq '.backups[].id'")]
pub(crate) struct List {
    #[command(flatten)]
    place: Place,
}

impl List {
    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = session
            .backups_at(self.place.address.as_deref(), Access::Read)
            .await?;
        let mut all: Vec<Shown> = backups.list().map_ok(Shown::from).try_collect().await?;
        all.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        let shown = ShownBackups { backups: all };
        session.output().result(&shown, ShownBackups::text)?;
        Ok(Exit::Success)
    }
}
