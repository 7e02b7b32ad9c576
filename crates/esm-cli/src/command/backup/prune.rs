//! `esm backup prune`

use std::collections::BTreeSet;
use std::sync::Arc;

use esm_core::backup::{KeepRules, PrunePolicy, Pruned};
use esm_core::id::MigrationId;
use esm_core::{Error, Result};
use esm_view::backup::ShownPrune;
use futures::TryStreamExt as _;

use super::place::BackupPlace;
use super::report::{prune_text, report_damaged};
use crate::args::Pair;
use crate::backup;
use crate::confirm::confirmed;
use crate::exit::Exit;
use crate::migration::service;
use crate::output::counted;
use crate::session::{Access, Session};

/// Delete backups whose retention has expired, that no rule keeps, or whose files are gone.
///
/// Rules (--keep-last, --keep-daily, --keep-monthly, --keep-tag) keep backups of each object; the newest
/// is always kept. With a rule, backups of a single object with unlimited retention that no rule keeps
/// are deleted too; without one, never. Backups of several objects go only when their retention has
/// expired, or as a group (--group-by). Never deleted: a backup before its retention ends, one that is
/// being written or restored, and those of unfinished migrations. Archives are pruned only with
/// --archives. One whose manifest is damaged is kept and reported; then the exit code is 9. Beside one of
/// a newer format nothing is deleted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup prune --dry-run
  esm backup prune --keep-last 7 --keep-daily 30 --keep-monthly 12 --dry-run
  esm backup prune --group-by job --keep-daily 30 --dry-run
  esm backup prune --yes --backup file:///backups")]
pub(crate) struct Prune {
    #[command(flatten)]
    place: BackupPlace,
    /// Keep this many of the newest of each object.
    #[arg(long, value_name = "NUMBER")]
    keep_last: Option<usize>,
    /// Keep the newest of each of this many days that have a backup (UTC).
    #[arg(long, value_name = "DAYS")]
    keep_daily: Option<usize>,
    /// Keep the newest of each of this many months that have a backup (UTC).
    #[arg(long, value_name = "MONTHS")]
    keep_monthly: Option<usize>,
    /// Keep those with this tag. Repeatable: with any of them.
    #[arg(long, value_name = "KEY=VALUE")]
    keep_tag: Vec<Pair>,
    /// Apply the rules to the backups with the same value of this tag, instead of to those of each
    /// object. Backups of several objects are deleted by rules only so: see to it that the newer ones
    /// of a group hold what the older ones hold.
    #[arg(long, value_name = "TAG")]
    group_by: Option<String>,
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
        let service =
            backup::without_progress(session, &backups).with_locks(Arc::clone(session.locks()));
        let policy = self.policy(session).await?;
        let now = session.environment().clock.now();
        if self.dry_run || !self.yes {
            let found = service.prune(now, &policy.clone().dry_run()).await?;
            let over = ShownPrune::new(&found);
            if self.dry_run || over.backups.is_empty() {
                session.output().result(&over, prune_text)?;
                return Ok(ended(session, &found));
            }
            session
                .output()
                .note(prune_text(&over, session.output().note_form()));
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
        let pruned = service.prune(now, &policy).await?;
        let over = ShownPrune::new(&pruned);
        session.output().result(&over, |over, _| deleted(over))?;
        Ok(ended(session, &pruned))
    }

    async fn policy(&self, session: &Session) -> Result<PrunePolicy> {
        let rules = KeepRules::new()
            .last(self.keep_last.unwrap_or(0))
            .daily(self.keep_daily.unwrap_or(0))
            .monthly(self.keep_monthly.unwrap_or(0));
        let tags = self.keep_tag.iter();
        let rules = tags.fold(rules, |rules, Pair(key, value)| rules.tag(key, value));
        let is_given = self.keep_last.is_some()
            || self.keep_daily.is_some()
            || self.keep_monthly.is_some()
            || !self.keep_tag.is_empty();
        if is_given && rules.is_empty() {
            return Err(Error::invalid("the rules keep nothing")
                .with_hint("keep at least one, for example --keep-last 1"));
        }
        if self.group_by.is_some() && !is_given {
            return Err(Error::invalid("--group-by without a rule")
                .with_hint("say what is kept of each group, for example --keep-last 7"));
        }
        let mut policy = PrunePolicy::new()
            .keep(rules)
            .superseded()
            .keep_of_migrations(unfinished(session).await?);
        if let Some(tag) = &self.group_by {
            policy = policy.group_by(tag.clone());
        }
        if self.archives {
            policy = policy.archives();
        }
        Ok(policy)
    }
}

/// The migrations of the store that have not ended.
async fn unfinished(session: &Session) -> Result<BTreeSet<MigrationId>> {
    let service = service(session)?;
    let active = service.active().map_ok(|state| state.migration);
    active.try_collect().await
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

fn deleted(over: &ShownPrune) -> String {
    if over.backups.is_empty() {
        return "nothing to prune".to_owned();
    }
    format!("deleted {}", counted(over.backups.len() as u64, "backup"))
}
