//! `esm backup prune`

use esm_core::Result;
use esm_core::store::BackupKind;
use futures::TryStreamExt as _;

use super::Place;
use super::report::{Shown, ShownBackups};
use crate::confirm::confirmed;
use crate::exit::Exit;
use crate::session::{Access, Session};

/// Delete the backups whose time to be kept is over.
///
/// Those that are to be kept for ever are never pruned; archives only with --archives.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup prune --dry-run
  esm backup prune --yes --backup file:///var/backups/esm")]
pub(crate) struct Prune {
    #[command(flatten)]
    place: Place,
    /// Archives of closed streams too.
    #[arg(long)]
    archives: bool,
    /// Only show what would be deleted.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

impl Prune {
    pub(super) fn access(&self) -> Access {
        match (&self.place.address, self.dry_run) {
            (None, false) => Access::Write,
            _ => Access::Read,
        }
    }

    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let access = match self.dry_run {
            true => Access::Read,
            false => Access::Write,
        };
        let backups = session
            .backups_at(self.place.address.as_deref(), access)
            .await?;
        let now = session.environment().clock.now();
        let mut over: Vec<Shown> = backups
            .list()
            .map_ok(Shown::from)
            .try_filter(|b| {
                let wanted = self.archives || b.kind == BackupKind::Backup;
                std::future::ready(wanted && b.keep_until.is_some_and(|until| until <= now))
            })
            .try_collect()
            .await?;
        over.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        let over = ShownBackups { backups: over };
        if over.backups.is_empty() {
            session
                .output()
                .result(&over, |_, _| "nothing to prune".to_owned())?;
            return Ok(Exit::Success);
        }
        if self.dry_run {
            session.output().result(&over, ShownBackups::text)?;
            return Ok(Exit::Success);
        }
        if !self.yes {
            session.output().note(&over.text(true));
            if !confirmed(session.output(), "delete these backups?")? {
                session.output().note("nothing was deleted");
                return Ok(Exit::Success);
            }
        }
        for backup in &over.backups {
            session.interrupt().check()?;
            backups.delete(&backup.id).await?;
        }
        session
            .output()
            .result(&over, |o, _| format!("deleted {} backups", o.backups.len()))?;
        Ok(Exit::Success)
    }
}
