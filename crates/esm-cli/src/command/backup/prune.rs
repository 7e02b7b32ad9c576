//! `esm backup prune`

use esm_core::Result;
use esm_core::backup::{PrunePolicy, Pruned};
use esm_view::backup::ShownBackups;

use super::place::BackupPlace;
use super::report::{backups_text, report_damaged};
use crate::backup;
use crate::confirm::confirmed;
use crate::exit::Exit;
use crate::output::counted;
use crate::session::{Access, Session};

/// Delete backups whose retention has expired, or whose files are gone.
///
/// Backups with unlimited retention are never pruned; archives are pruned only with --archives. One
/// whose manifest is damaged is kept and reported; then the exit code is 9.
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
        let service = backup::without_progress(session, &backups);
        let now = session.environment().clock.now();
        if self.dry_run || !self.yes {
            let found = service.prune(now, &self.policy().dry_run()).await?;
            let over = shown(&found);
            if self.dry_run || over.backups.is_empty() {
                session.output().result(&over, |over, form| {
                    if over.backups.is_empty() {
                        "nothing to prune".into()
                    } else {
                        backups_text(over, form)
                    }
                })?;
                return Ok(ended(session, &found));
            }
            session
                .output()
                .note(backups_text(&over, session.output().note_form()));
            if !confirmed(
                session.output(),
                session.interrupt(),
                "delete these backups?",
            )
            .await?
            {
                session.output().note("nothing was deleted");
                return Ok(Exit::Success);
            }
        }
        let pruned = service.prune(now, &self.policy()).await?;
        let over = shown(&pruned);
        session.output().result(&over, |over, _| deleted(over))?;
        Ok(ended(session, &pruned))
    }

    fn policy(&self) -> PrunePolicy {
        if self.archives {
            PrunePolicy::new().archives()
        } else {
            PrunePolicy::new()
        }
    }
}

fn shown(pruned: &Pruned) -> ShownBackups {
    let removed = pruned.removed.iter().map(|one| one.manifest.clone());
    ShownBackups::new(removed.collect(), &pruned.damaged)
}

/// Reports what was kept although it should have gone, and the damaged manifests.
fn ended(session: &Session, pruned: &Pruned) -> Exit {
    let mut exit = Exit::Success;
    for one in &pruned.failed {
        exit = session.output().fail(&one.error);
    }
    match report_damaged(session, &pruned.damaged) {
        damaged if exit == Exit::Success => damaged,
        _ => exit,
    }
}

fn deleted(over: &ShownBackups) -> String {
    if over.backups.is_empty() {
        return "nothing to prune".to_owned();
    }
    format!("deleted {}", counted(over.backups.len() as u64, "backup"))
}
