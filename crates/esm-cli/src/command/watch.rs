//! `esm watch`

use std::time::Duration;

use esm_core::id::MigrationId;
use esm_core::migration::{MigrationStatus, Progress, WatchedMigration};
use esm_core::store::HolderState;
use esm_core::{Error, Result};
use futures::StreamExt as _;
use jiff::Timestamp;

use crate::args::Span;
use crate::exit::Exit;
use crate::migration::{DAMAGED, service, sign_of_life, the_only_one};
use crate::output::{count, duration};
use crate::session::Session;

/// Watch a migration that runs in another process until it ends.
///
/// Prints a line for each change; with --output json, a JSON document per line.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm watch
  esm watch 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --every 5s
  esm watch --output json | jq .progress.lag
  esm watch --once")]
pub(crate) struct Watch {
    /// Migration id; defaults to the only unfinished migration.
    migration: Option<MigrationId>,
    /// Interval between polls.
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    every: Span,
    /// Print the current state and exit.
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
        let mut damage = None;
        loop {
            let next = tokio::select! {
                next = seen.next() => next,
                () = session.interrupt().token().cancelled() => return Ok(Exit::Interrupted),
            };
            let Some(watched) = next.transpose()? else {
                break;
            };
            status = watched.state.status;
            damage = watched.state.damage.clone();
            if session.output().is_json() {
                session.output().json_line(&watched)?;
            } else {
                let line = line(&watched, session.environment().clock.now());
                if line != last {
                    session.output().text(line.as_str())?;
                    last = line;
                }
            }
            if self.once {
                return Ok(Exit::Success);
            }
        }
        if let Some(damage) = damage {
            return Err(Error::corrupt(damage).with_hint(DAMAGED));
        }
        Ok(match status {
            MigrationStatus::Completed => Exit::Success,
            _ => Exit::Failure,
        })
    }
}

/// The state in one line.
fn line(watched: &WatchedMigration, now: Timestamp) -> String {
    let state = &watched.state;
    let running = !state.status.is_terminal() && watched.is_at_work();
    let Some(progress) = watched.progress.as_ref().filter(|_| running) else {
        return idle(watched);
    };
    let mut parts = vec![format!("{}, {}", progress.status, progress.step)];
    parts.extend(amounts(progress));
    if let Some(reason) = &progress.throttled_by {
        parts.push(format!("throttled by {reason}"));
    }
    if let Some(what) = &progress.waiting_for {
        parts.push(format!("waiting for {what}"));
    }
    parts.extend(silence(watched, now));
    parts.join("; ")
}

/// The last sign of life of a process that is probably dead.
fn silence(watched: &WatchedMigration, now: Timestamp) -> Option<String> {
    let lock = watched.state.lock.as_ref()?;
    if lock.holder_state(now) != HolderState::ProbablyDead {
        return None;
    }
    Some(format!("its process {}", sign_of_life(lock, now)?))
}

/// The state of a migration that has ended, or that has published no progress.
fn idle(watched: &WatchedMigration) -> String {
    let state = &watched.state;
    let process = if state.status.is_terminal() {
        ""
    } else if watched.is_at_work() {
        ", running"
    } else {
        ", no process runs it"
    };
    let reason = match &state.stopped {
        Some((step, reason)) => format!(": {step}: {reason}"),
        None => String::new(),
    };
    format!("{}{process}{reason}", state.status)
}

fn amounts(progress: &Progress) -> Vec<String> {
    let mut parts = vec![format!(
        "{} copied, {} verified",
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
        parts.push(format!("{lost} close attempts lost to concurrent appends"));
    }
    parts.push(format!("phase {}", progress.phase));
    parts
}
