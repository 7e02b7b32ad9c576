//! `esm backup create`

use esm_core::Result;
use esm_core::backup::BackupOptions;
use esm_core::id::BackupId;
use esm_view::backup::ShownBackup;

use super::super::backup_args::BackupContent;
use super::place::BackupPlace;
use super::report::backup_text;
use crate::args::Span;
use crate::backup;
use crate::exit::Exit;
use crate::progress::Unit;
use crate::selection::Selection;
use crate::session::{Access, Session};

/// Back up the active streams of objects, and verify the backup.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup create order/123
  esm backup create --all --backup file:///backups --keep 90d --tag for=audit")]
pub(crate) struct Create {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    place: BackupPlace,
    /// Id of the backup, which must be new; defaults to one made from the time.
    #[arg(long, value_name = "NAME")]
    id: Option<BackupId>,
    /// Retention: how long pruning must not delete the backup. Defaults to unlimited.
    #[arg(long, value_name = "DURATION")]
    keep: Option<Span>,
    #[command(flatten)]
    content: BackupContent,
    /// Exclude the object documents.
    #[arg(long)]
    without_documents: bool,
}

impl Create {
    pub(super) fn access(&self) -> Access {
        self.place.access_to_change()
    }

    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = self.place.open(session, Access::Create).await?;
        if self.selection.is_all() {
            session.ensure_complete().await?;
        }
        let objects = self.selection.sorted(session).await?;
        let progress = session.progress("backup", Unit::Events, None);
        let written = backup::service(session, &backups, &progress)
            .create_of(objects, self.options())
            .await;
        progress.end();
        let shown = ShownBackup::from(written?);
        session.output().result(&shown, backup_text)?;
        Ok(Exit::Success)
    }

    fn options(&self) -> BackupOptions {
        let mut options = self.content.options();
        if let Some(id) = &self.id {
            options = options.id(id.clone());
        }
        if let Some(keep) = self.keep {
            options = options.retention(keep.0);
        }
        if !self.without_documents {
            options = options.include_document();
        }
        options
    }
}
