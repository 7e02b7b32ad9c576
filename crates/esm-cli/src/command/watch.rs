//! `esm watch`

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use esm_core::migration::{MigrationStatus, Progress, WatchedMigration};
use esm_core::store::HolderState;
use esm_core::{Error, Result};
use esm_view::migration::Watched;
use futures::StreamExt as _;
use jiff::Timestamp;

use crate::args::Span;
use crate::exit::Exit;
use crate::migration::{
    Condition, DAMAGED, IdPart, Kind, run_figures, service, sign_of_life, the_only_one,
};
use crate::open_store::not_on_layouts;
use crate::output::{InSeconds, count, counted, remaining};
use crate::progress::{Rewritten, Unit};
use crate::session::Session;

/// Watch a migration that runs in another process until it ends.
///
/// Prints a line for each change; with --output json, a JSON document per line. Exits with 0 when the
/// migration is completed, and with 1 when it ended otherwise or nothing works on it any more: then the
/// last line names the command that continues it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm watch
  esm watch 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --every 5s
  esm watch --output json | jq .progress.lag
  esm watch --once")]
pub(crate) struct Watch {
    /// Migration id, or at least 4 characters of its beginning or end; defaults to the only unfinished
    /// migration.
    migration: Option<IdPart>,
    /// Interval between polls.
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    every: Span,
    /// Print the current state and exit.
    #[arg(long)]
    once: bool,
}

impl Watch {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        if session.layout().is_some() {
            return Err(not_on_layouts());
        }
        let service = service(session)?;
        let migration = match &self.migration {
            Some(migration) => migration.migration(session).await?,
            None => the_only_one(&service).await?,
        };
        let mut seen = service.watch(migration, self.every.0.max(Duration::from_millis(50)));
        let mut last = Vec::new();
        let display = Display::of(session, self.once);
        let mut status = MigrationStatus::Pending;
        let mut damage = None;
        let mut rest = Rest::default();
        loop {
            let next = tokio::select! {
                next = seen.next() => next,
                () = session.interrupt().token().cancelled() => {
                    display.end(session, &last)?;
                    return Ok(Exit::Interrupted);
                }
            };
            let Some(watched) = next.transpose()? else {
                break;
            };
            status = watched.state.status;
            damage = watched.state.damage.clone();
            let now = session.environment().clock.now();
            if session.output().is_json() {
                session
                    .output()
                    .json_line(&InSeconds(Watched::of(watched.clone(), now)))?;
            } else {
                let parts = parts(&watched, now);
                if parts != last {
                    display.show(session, &parts)?;
                    last = parts;
                }
            }
            if self.once {
                return Ok(Exit::Success);
            }
            if rest.is_certain(&watched, now) {
                break;
            }
        }
        display.end(session, &last)?;
        if let Some(damage) = damage {
            return Err(Error::corrupt(damage).with_hint(DAMAGED));
        }
        Ok(match status {
            MigrationStatus::Completed => Exit::Success,
            _ => Exit::Failure,
        })
    }
}

/// Whether a migration that has not ended is at rest: nothing works on it, and nothing is about to.
#[derive(Default)]
struct Rest {
    /// The last renewal of its lock, and when this process first saw that one.
    seen: Option<(Option<Timestamp>, Instant)>,
    polls: u32,
}

impl Rest {
    /// A process that takes it over needs some time until it has the lock: so two polls. A holder that is
    /// only probably dead may be alive by another clock: so a whole lease without a renewal, by this
    /// process' own.
    fn is_certain(&mut self, watched: &WatchedMigration, now: Timestamp) -> bool {
        let lock = watched.state.lock.as_ref();
        let renewed = lock.and_then(|lock| lock.renewed_at);
        let patience = match Condition::of(watched, now).condition {
            Kind::Stopped | Kind::Failed | Kind::Dead => Duration::ZERO,
            Kind::ProbablyDead => lock.map_or(Duration::ZERO, |lock| lock.lease),
            _ => {
                *self = Self::default();
                return false;
            }
        };
        if self.seen.is_none_or(|(last, _)| last != renewed) {
            (self.seen, self.polls) = (Some((renewed, Instant::now())), 0);
        }
        self.polls += 1;
        let waited = self
            .seen
            .map_or(Duration::ZERO, |(_, since)| since.elapsed());
        self.polls > 1 && waited >= patience
    }
}

/// How the lines are shown: one below the other, or on a terminal one line that is rewritten.
enum Display {
    Lines,
    Rewritten(Rewritten),
}

impl Display {
    fn of(session: &Session, once: bool) -> Self {
        let terminal = session.output().is_terminal() && std::io::stderr().is_terminal();
        if terminal && !once && !session.output().is_json() {
            Self::Rewritten(Rewritten::begin())
        } else {
            Self::Lines
        }
    }

    fn show(&self, session: &Session, parts: &[String]) -> Result<()> {
        match self {
            Self::Lines => session.output().text(parts.join("; ")),
            Self::Rewritten(rewritten) => {
                let fewer_and_fewer = (1..=parts.len()).rev();
                rewritten.show(fewer_and_fewer.map(|shown| parts[..shown].join("; ")));
                Ok(())
            }
        }
    }

    /// Leaves the last line on the terminal.
    fn end(&self, session: &Session, last: &[String]) -> Result<()> {
        match self {
            Self::Lines => Ok(()),
            Self::Rewritten(rewritten) => {
                rewritten.end();
                session.output().text(last.join("; "))
            }
        }
    }
}

/// The state in parts of a line, the most important first.
fn parts(watched: &WatchedMigration, now: Timestamp) -> Vec<String> {
    let condition = Condition::of(watched, now);
    let running = !watched.state.status.is_terminal() && watched.is_at_work();
    let Some(progress) = watched.progress.as_ref().filter(|_| running) else {
        return vec![idle(watched, &condition)];
    };
    let mut parts = match condition.condition {
        Kind::Running => vec![format!("{}, {}", progress.status, progress.step)],
        _ => vec![condition.name(progress.status)],
    };
    parts.extend(
        condition
            .needs()
            .map(|needs| format!("waiting for {needs}")),
    );
    parts.extend(silence(watched, now));
    if let Some(reason) = &progress.throttled_by {
        parts.push(format!("throttled by {reason}"));
    }
    parts.extend(amounts(progress));
    parts
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
fn idle(watched: &WatchedMigration, condition: &Condition) -> String {
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
    let next = match condition.continued_by {
        Some(command) if condition.condition != Kind::Failed => {
            format!("; `{command}` continues it")
        }
        Some(command) => format!("; next: `{command}`"),
        None => String::new(),
    };
    format!("{}{process}{reason}{next}", condition.name(state.status))
}

fn amounts(progress: &Progress) -> Vec<String> {
    let mut parts = vec![run_figures(progress).amounts(Unit::Events)];
    if let Some(eta) = progress.eta {
        parts.push(remaining(eta));
    }
    match progress.objects_total {
        Some(1) => {}
        Some(total) => parts.push(format!(
            "{} of {} done",
            count(progress.objects_done),
            counted(total, "object")
        )),
        None => parts.push(format!("{} done", counted(progress.objects_done, "object"))),
    }
    if progress.objects_failed > 0 {
        parts.push(format!("{} failed", count(progress.objects_failed)));
    }
    if let Some(lag) = progress.lag.filter(|lag| *lag > 0) {
        parts.push(format!("{} behind", count(lag)));
    }
    if progress.events_per_second > 0 {
        parts.push(format!("{} events/s", count(progress.events_per_second)));
    }
    parts.push(format!(
        "{} copied, {} verified",
        count(progress.events_copied),
        count(progress.events_verified)
    ));
    if progress.lost_close_attempts > 0 {
        let lost = count(progress.lost_close_attempts);
        parts.push(format!("{lost} close attempts lost to concurrent appends"));
    }
    parts.push(format!("phase {}", progress.phase));
    parts
}
