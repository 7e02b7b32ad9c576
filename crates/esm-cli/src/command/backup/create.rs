//! `esm backup create`

use std::collections::BTreeMap;

use esm_core::Result;
use esm_core::backup::BackupOptions;
use esm_core::id::BackupId;
use esm_core::store::Compression;

use super::Place;
use super::report::Shown;
use crate::args::{Pair, Span};
use crate::backup;
use crate::exit::Exit;
use crate::progress::Unit;
use crate::selection::Selection;
use crate::session::{Access, Session};

/// Back up objects' active streams, and verify the backup.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup create order/123
  esm backup create --all --backup file:///var/backups/esm --keep 90d --tag reason=audit")]
pub(crate) struct Create {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    place: Place,
    /// The backup's name, used once; made of the time if it is left out.
    #[arg(long, value_name = "NAME")]
    id: Option<BackupId>,
    /// How long pruning must leave it alone; for ever if it is left out.
    #[arg(long, value_name = "DURATION")]
    keep: Option<Span>,
    /// Words of yours, as key=value; may be given several times.
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    tags: Vec<Pair>,
    /// Leave the object documents out.
    #[arg(long)]
    without_documents: bool,
    /// The level of zstd.
    #[arg(long, value_name = "1-19", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=19))]
    level: i32,
}

impl Create {
    pub(super) fn access(&self) -> Access {
        match self.place.address {
            Some(_) => Access::Read,
            None => Access::Write,
        }
    }

    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = session
            .backups_at(self.place.address.as_deref(), Access::Create)
            .await?;
        let objects = self.selection.sorted(session).await?;
        let progress = session.progress("backup", Unit::Events, None);
        let written = backup::service(session, &backups, &progress)
            .create_of(objects, self.options())
            .await;
        progress.end();
        let shown = Shown::from(written?);
        session.output().result(&shown, Shown::text)?;
        Ok(Exit::Success)
    }

    fn options(&self) -> BackupOptions {
        let level = self.level;
        let mut options = BackupOptions::new().compression(Compression::Zstd { level });
        if let Some(id) = &self.id {
            options = options.id(id.clone());
        }
        if let Some(keep) = self.keep {
            options = options.retention(keep.0);
        }
        if !self.without_documents {
            options = options.include_document();
        }
        tags(&self.tags)
            .into_iter()
            .fold(options, |options, (key, value)| options.tag(key, value))
    }
}

/// Tags as they are stored; of equal keys the last one counts.
pub(crate) fn tags(pairs: &[Pair]) -> BTreeMap<String, String> {
    pairs.iter().map(|p| (p.0.clone(), p.1.clone())).collect()
}
