//! `esm backup list`

use esm_core::Result;
use esm_core::backup::split_damaged;
use esm_view::backup::ShownBackups;

use super::filter::FilterArgs;
use super::place::BackupPlace;
use super::report::{backups_text, report_damaged};
use crate::backup;
use crate::exit::Exit;
use crate::session::{Access, Session};

/// List backups and archives, oldest first.
///
/// Exits with 9 if the manifest of one is damaged; all others are listed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup list
  esm backup list --object order/123 --since 30d --tag reason=audit
  esm backup list --backup file:///backups --output json | jq '.backups[].id'")]
pub(crate) struct List {
    #[command(flatten)]
    place: BackupPlace,
    #[command(flatten)]
    filter: FilterArgs,
}

impl List {
    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = self.place.open(session, Access::Read).await?;
        let service = backup::without_progress(session, &backups);
        let found = service.find(self.filter.filter(session).await?);
        let (manifests, mut damaged) = split_damaged(found).await?;
        damaged.sort_by_key(ToString::to_string);
        let shown = ShownBackups::new(manifests, &damaged);
        session.output().result(&shown, backups_text)?;
        Ok(report_damaged(session, &damaged))
    }
}
