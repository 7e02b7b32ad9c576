//! `esm backup create`

use std::collections::BTreeMap;

use esm_core::Result;
use esm_core::id::BackupId;
use esm_core::store::{BackupContent, BackupDraft, BackupKind, BackupSettings, Compression};
use jiff::Timestamp;

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
        let draft = self.draft(session)?;
        let written = backup::create(session, &backups, draft, objects, &progress).await;
        progress.end();
        let manifest = written?;
        let progress = session.progress("verify", Unit::Events, Some(manifest.events));
        let verified = backup::verify(&backups, &manifest.id, session.interrupt(), &progress).await;
        progress.end();
        let shown = Shown::from(verified?.manifest);
        session.output().result(&shown, Shown::text)?;
        Ok(Exit::Success)
    }

    fn draft(&self, session: &Session) -> Result<BackupDraft> {
        let now = session.environment().clock.now();
        Ok(BackupDraft {
            id: match &self.id {
                Some(id) => id.clone(),
                None => fresh(session, now)?,
            },
            kind: BackupKind::Backup,
            migration: None,
            created_at: now,
            settings: BackupSettings {
                content: BackupContent {
                    documents: !self.without_documents,
                },
                compression: Compression::Zstd { level: self.level },
                keep_until: until(now, self.keep),
                tags: tags(&self.tags),
            },
        })
    }
}

fn fresh(session: &Session, now: Timestamp) -> Result<BackupId> {
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    let unique = &session.environment().uuid_v4().simple().to_string()[..8];
    BackupId::new(format!("backup-{time}-{unique}"))
}

/// When something made now and kept that long may go.
fn until(now: Timestamp, keep: Option<Span>) -> Option<Timestamp> {
    // beyond the end of the calendar is for ever
    keep.and_then(|keep| now.checked_add(keep.0).ok())
}

/// Tags as they are stored; of equal keys the last one counts.
pub(crate) fn tags(pairs: &[Pair]) -> BTreeMap<String, String> {
    pairs.iter().map(|p| (p.0.clone(), p.1.clone())).collect()
}
