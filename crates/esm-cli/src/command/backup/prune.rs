//! `esm backup prune`

use esm_core::Result;
use esm_core::store::{BackupKind, BackupProvider};
use futures::{StreamExt as _, TryStreamExt as _};

use super::place::BackupPlace;
use super::report::ShownBackups;
use crate::confirm::confirmed;
use crate::exit::Exit;
use crate::output::counted;
use crate::session::{Access, Session};

/// Delete backups whose retention has expired.
///
/// Backups with unlimited retention are never pruned; archives are pruned only with --archives.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup prune --dry-run
  esm backup prune --yes --backup file:///backups")]
pub(crate) struct Prune {
    #[command(flatten)]
    place: BackupPlace,
    /// Include archives of closed streams.
    #[arg(long)]
    archives: bool,
    /// Only show which backups would be deleted.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
}

impl Prune {
    pub(super) fn access(&self) -> Access {
        if self.dry_run {
            Access::Read
        } else {
            self.place.access_to_change()
        }
    }

    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let access = if self.dry_run {
            Access::Read
        } else {
            Access::Write
        };
        let backups = self.place.open(session, access).await?;
        let over = self.expired(session, &*backups).await?;
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
            session.output().note(over.text(true));
            if !confirmed(session.output(), "delete these backups?")? {
                session.output().note("nothing was deleted");
                return Ok(Exit::Success);
            }
        }
        for backup in &over.backups {
            session.interrupt().check()?;
            backups.delete(&backup.id).await?;
        }
        session.output().result(&over, |over, _| deleted(over))?;
        Ok(Exit::Success)
    }

    async fn expired(
        &self,
        session: &Session,
        backups: &dyn BackupProvider,
    ) -> Result<ShownBackups> {
        let now = session.environment().clock.now();
        let expired = backups.list().try_filter(|b| {
            let wanted = self.archives || b.kind == BackupKind::Backup;
            let until = b.settings.keep_until;
            std::future::ready(wanted && until.is_some_and(|until| until <= now))
        });
        ShownBackups::collect(expired.boxed()).await
    }
}

fn deleted(over: &ShownBackups) -> String {
    format!("deleted {}", counted(over.backups.len() as u64, "backup"))
}
