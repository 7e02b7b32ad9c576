//! `esm pause`, `esm cancel`, `esm cutover`, `esm set`: commands to a migration that runs elsewhere.

use esm_core::id::MigrationId;
use esm_core::migration::{Answer, Command, CommandReceipt, ControlAction, MigrationService};
use esm_core::{Error, Result};
use futures::TryStreamExt as _;
use serde::Serialize;

use super::live_args::LimitArgs;
use crate::args::Span;
use crate::exit::Exit;
use crate::migration::service;
use crate::session::Session;

/// Which migration, and how long its answer is waited for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Addressee {
    /// The migration; may be left out when only one is not finished.
    migration: Option<MigrationId>,
    #[command(flatten)]
    patience: Patience,
    /// Who says so, for the record; the user's and the machine's name if it is left out.
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
}

/// How long the answer of a process that works on a migration is waited for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Patience {
    /// How long to wait for an answer. The command stands all the same.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    wait: Span,
}

/// Pause a migration that runs: it stops at its next safe point and stays there.
///
/// It keeps its lock and what it has done. `esm resume` lets it go on. Paused it stays also when
/// its process is killed and another takes over with `esm resume --stay-paused`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm pause
  esm pause 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --wait 1m")]
pub(crate) struct Pause {
    #[command(flatten)]
    to: Addressee,
}

/// Cancel a migration that runs: it stops and takes back what it did.
///
/// Refused once the streams are closed; then let it finish, and roll it back. Where no process works
/// on the migration, `esm rollback` undoes it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm cancel --reason 'wrong program'")]
pub(crate) struct Cancel {
    #[command(flatten)]
    to: Addressee,
    /// Why, for its journal.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Let a migration cut over that waits for it, or take that back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm migrate --all --transform v2.jq --cutover manual &
  esm watch
  esm cutover
  esm cutover --withdraw        # before it is done")]
pub(crate) struct Cutover {
    #[command(flatten)]
    to: Addressee,
    /// Do not cut over yet after all.
    #[arg(long)]
    withdraw: bool,
}

/// Change how fast, and in which portions, a migration that runs works.
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
    /// Most events in a cell of the new stream.
    #[arg(long, value_name = "NUMBER")]
    cell_events: Option<usize>,
    /// Most bytes in a cell of the new stream.
    #[arg(long, value_name = "NUMBER")]
    cell_bytes: Option<u64>,
    /// Objects that are worked on at the same time.
    #[arg(long, value_name = "NUMBER")]
    concurrency: Option<usize>,
}

impl Pause {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        self.to.tell(session, ControlAction::Pause).await
    }
}

impl Cancel {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let reason = self.reason.clone();
        self.to
            .tell(session, ControlAction::Cancel { reason })
            .await
    }
}

impl Cutover {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let action = match self.withdraw {
            true => ControlAction::WithdrawCutOver,
            false => ControlAction::CutOver,
        };
        self.to.tell(session, action).await
    }
}

impl Set {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let mut change = self.limits.change();
        change.cell_events = self.cell_events;
        change.cell_bytes = self.cell_bytes;
        change.concurrency = self.concurrency;
        change.check()?;
        self.to.tell(session, ControlAction::Set(change)).await
    }
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    migration: MigrationId,
    #[serde(flatten)]
    command: &'a Command,
    answer: Option<&'a Answer>,
}

impl Addressee {
    async fn tell(&self, session: &Session, action: ControlAction) -> Result<Exit> {
        let service = service(session)?;
        let migration = match self.migration {
            Some(migration) => migration,
            None => the_only_one(&service).await?,
        };
        let receipt = send(&service, migration, (action, self.author.clone())).await?;
        report(session, migration, &receipt, &self.patience).await
    }
}

/// The migration that is not finished, where it is the only one.
///
/// # Errors
/// `NotFound`; `Invalid` for several, naming them.
pub(crate) async fn the_only_one(service: &MigrationService) -> Result<MigrationId> {
    let states: Vec<_> = service.active().try_collect().await?;
    match states.as_slice() {
        [only] => Ok(only.migration),
        [] => Err(Error::not_found("no migration is unfinished")
            .with_hint("list those that have ended with `esm status --all`")),
        several => {
            let names: Vec<_> = several.iter().map(|s| s.migration.to_string()).collect();
            let message = format!("several migrations are not finished: {}", names.join(", "));
            Err(Error::invalid(message).with_hint("name one of them"))
        }
    }
}

/// Sends a command under the user's name.
///
/// # Errors
/// `NotFound`; `AlreadyExists` for a migration that has ended.
pub(crate) async fn send(
    service: &MigrationService,
    migration: MigrationId,
    (action, author): (ControlAction, Option<String>),
) -> Result<CommandReceipt> {
    let author = author.unwrap_or_else(crate::migration::author);
    service.control(migration).author(author).send(action).await
}

/// Waits for the answer and shows it.
///
/// # Errors
/// Those of the records.
pub(crate) async fn report(
    session: &Session,
    migration: MigrationId,
    receipt: &CommandReceipt,
    patience: &Patience,
) -> Result<Exit> {
    let answer = receipt.answer(patience.wait.0).await?;
    let told = Told {
        migration,
        command: &receipt.command,
        answer: answer.as_ref(),
    };
    let action = &receipt.command.action;
    session.output().result(&told, |_, _| match &answer {
        Some(answer) => format!("{action}: {answer}"),
        None => format!("{action}: not answered yet"),
    })?;
    Ok(match answer {
        Some(Answer::Refused { .. }) => Exit::Conflict,
        Some(_) => Exit::Success,
        None => {
            session.output().note(
                "the command stands: it is found by the process that works on the migration, or \
                 resumes it",
            );
            Exit::Storage
        }
    })
}
