//! `esm watch`

use std::time::Duration;

use esm_core::Result;
use esm_core::id::MigrationId;
use esm_core::migration::{MigrationStatus, Progress, WatchedMigration};
use futures::StreamExt as _;

use super::steer::the_only_one;
use crate::args::Span;
use crate::exit::Exit;
use crate::migration::service;
use crate::output::{count, duration};
use crate::session::Session;

/// Watch a migration that runs in another process, until it has ended.
///
/// A line whenever something changed; with `--output json` a document a line.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm watch
  esm watch 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --every 5s
  esm watch --output json | jq .progress.lag
  esm watch --once")]
pub(crate) struct Watch {
    /// The migration; may be left out when only one is not finished.
    migration: Option<MigrationId>,
    /// How often to look.
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    every: Span,
    /// Look once.
    #[arg(long)]
    once: bool,
}

impl Watch {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let service = service(session)?;
        let migration = match self.migration {
            Some(migration) => migration,
            None => the_only_one(&service).await?,
        };
        let mut seen = service.watch(migration, self.every.0.max(Duration::from_millis(50)));
        let mut last = String::new();
        let mut status = MigrationStatus::Pending;
        loop {
            let next = tokio::select! {
                next = seen.next() => next,
                () = session.interrupt().token().cancelled() => return Ok(Exit::Interrupted),
            };
            let Some(watched) = next.transpose()? else {
                break;
            };
            status = watched.state.status;
            if session.output().is_json() {
                session.output().json_line(&watched)?;
            } else {
                let line = line(&watched);
                if line != last {
                    session.output().lines(&line)?;
                    last = line;
                }
            }
            if self.once {
                return Ok(Exit::Success);
            }
        }
        Ok(match status {
            MigrationStatus::Completed => Exit::Success,
            _ => Exit::Failure,
        })
    }
}

/// What can be seen, in a line.
fn line(watched: &WatchedMigration) -> String {
    let state = &watched.state;
    let running = !state.status.is_terminal() && watched.is_at_work();
    let Some(progress) = watched.progress.as_ref().filter(|_| running) else {
        let nobody = match state.status.is_terminal() {
            true => "",
            false if watched.is_at_work() => ", at work",
            false => ", nobody works on it",
        };
        let why = match &state.stopped {
            Some((step, reason)) => format!(": {step}: {reason}"),
            None => String::new(),
        };
        return format!("{}{nobody}{why}", state.status);
    };
    let mut parts = vec![format!("{}, {}", progress.status, progress.step)];
    parts.extend(amounts(progress));
    if let Some(reason) = &progress.throttled_by {
        parts.push(format!("slowed down by {reason}"));
    }
    if let Some(what) = &progress.waiting_for {
        parts.push(format!("waits for {what}"));
    }
    parts.join("; ")
}

fn amounts(progress: &Progress) -> Vec<String> {
    let mut parts = vec![format!(
        "{} copied, {} compared",
        count(progress.events_copied),
        count(progress.events_verified)
    )];
    if progress.objects_total != Some(1) {
        parts.push(format!("{} objects done", count(progress.objects_done)));
    }
    if let Some(lag) = progress.lag.filter(|lag| *lag > 0) {
        parts.push(format!("{} behind", count(lag)));
    }
    if progress.events_per_second > 0 {
        parts.push(format!("{} events/s", count(progress.events_per_second)));
    }
    if let Some(eta) = progress.eta {
        parts.push(format!("about {} left", duration(eta)));
    }
    if progress.lost_close_attempts > 0 {
        let lost = count(progress.lost_close_attempts);
        parts.push(format!("writers were faster than {lost} closes"));
    }
    parts.push(format!("phase {}", progress.phase));
    parts
}
