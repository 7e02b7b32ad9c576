//! `esm pause`, `esm cancel`, `esm cutover`, `esm set`: commands to a migration that runs in another
//! process.

use std::time::Duration;

use esm_core::Result;
use esm_core::protocol::control::ControlAction;

use super::limit_args::{LimitArgs, refuse_lag};
use crate::args::Span;
use crate::exit::Exit;
use crate::in_place::{Sent, steer};
use crate::migration::{
    IdPart, report_answer, send, service, the_only_one, until_answered, within,
};
use crate::session::Session;

/// The migration that receives a command.
#[derive(Debug, Clone, clap::Args)]
struct Addressee {
    /// Migration id, or at least 4 characters of its beginning or end; defaults to the only unfinished
    /// migration.
    migration: Option<IdPart>,
    #[command(flatten)]
    patience: Patience,
    /// Author of the command, recorded with it; defaults to user@host.
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

/// How long to wait for the answer of the process that runs a migration.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Patience {
    /// Maximum wait for an answer; defaults to 10s, and to no wait if no process runs the
    /// migration. The command remains valid without an answer.
    #[arg(long, value_name = "DURATION")]
    wait: Option<Span>,
}

impl Patience {
    const DEFAULT: Duration = Duration::from_secs(10);

    /// The wait for a process that works.
    pub(crate) fn wait(&self) -> Duration {
        self.given().unwrap_or(Self::DEFAULT)
    }

    /// The wait that was given, which is also for a process that begins to work.
    fn given(&self) -> Option<Duration> {
        self.wait.as_ref().map(|wait| wait.0)
    }
}

/// Pause a running migration at its next safe point.
///
/// The migration keeps its lock and its progress. `esm resume` continues it. If its process is
/// killed, another process can take over without resuming it: `esm resume --stay-paused`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm pause
  esm pause 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --wait 1m")]
pub(crate) struct Pause {
    #[command(flatten)]
    to: Addressee,
}

/// Cancel a running migration and undo it.
///
/// Refused after the streams were closed: let the migration complete, then roll it back. If no
/// process runs the migration, undo it with `esm rollback`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm cancel --reason 'wrong program'")]
pub(crate) struct Cancel {
    #[command(flatten)]
    to: Addressee,
    /// Reason, recorded in the journal.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
}

/// Start the cutover of a waiting migration, or withdraw the command.
///
/// A migration waits if it was started with --cutover manual or a cutover window.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm migrate --all --transform v2.jq --cutover manual &
  esm watch
  esm cutover
  esm cutover --withdraw        # as long as it has not cut over")]
pub(crate) struct Cutover {
    #[command(flatten)]
    to: Addressee,
    /// Withdraw the command: do not cut over yet.
    #[arg(long)]
    withdraw: bool,
}

/// Change limits and sizes of a running migration.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm set --events-per-second 2000
  esm set --events-per-second unlimited --concurrency 4")]
pub(crate) struct Set {
    #[command(flatten)]
    to: Addressee,
    #[command(flatten)]
    limits: LimitArgs,
    /// Maximum events per cell of the new stream.
    #[arg(long, value_name = "NUMBER", help_heading = "Tuning")]
    cell_events: Option<usize>,
    /// Maximum bytes per cell of the new stream.
    #[arg(long, value_name = "NUMBER", help_heading = "Tuning")]
    cell_bytes: Option<u64>,
    /// Objects migrated concurrently.
    #[arg(long, value_name = "NUMBER", help_heading = "Tuning")]
    concurrency: Option<usize>,
}

impl Pause {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        self.to.send(session, ControlAction::Pause).await
    }
}

impl Cancel {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let reason = self.reason.clone();
        self.to
            .send(session, ControlAction::Cancel { reason })
            .await
    }
}

impl Cutover {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let action = if self.withdraw {
            ControlAction::WithdrawCutOver
        } else {
            ControlAction::CutOver
        };
        self.to.send(session, action).await
    }
}

impl Set {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let mut change = self.limits.change();
        change.cell_events = self.cell_events;
        change.cell_bytes = self.cell_bytes;
        change.concurrency = self.concurrency;
        change.check()?;
        self.to.send(session, ControlAction::Set(change)).await
    }
}

impl Addressee {
    async fn send(&self, session: &Session, action: ControlAction) -> Result<Exit> {
        if session.layout().is_some() {
            let sent = Sent {
                migration: self.migration.as_ref(),
                action,
                author: self.author.as_deref(),
                wait: self.patience.wait(),
                may_begin: self.patience.given().is_some(),
            };
            return steer(session, sent).await;
        }
        if let ControlAction::Set(change) = &action {
            refuse_lag(change)?;
        }
        let service = service(session)?;
        let migration = match &self.migration {
            Some(migration) => migration.migration(session).await?,
            None => the_only_one(&service).await?,
        };
        let receipt = send(&service, migration, action, self.author.as_deref()).await?;
        let reply = match self.patience.given() {
            Some(wait) => within(session, &receipt, wait).await?,
            None => until_answered(session, &receipt, self.patience.wait()).await?,
        };
        report_answer(session, migration, &receipt.command, &reply)
    }
}
