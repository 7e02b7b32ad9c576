//! Commands to a migration that runs in another process.

use std::time::Duration;

use esm_core::id::MigrationId;
use esm_core::migration::{
    CommandReceipt, MigrationService, MigrationState, MigrationStatus, Reply,
};
use esm_core::protocol::control::{Answer, Command, ControlAction};
use esm_core::{Error, ErrorKind, Result};
use esm_view::migration::reversed_by;
use futures::TryStreamExt as _;
use serde::Serialize;

use super::service::author;
use crate::exit::Exit;
use crate::output::Text;
use crate::session::Session;

#[derive(Debug, Serialize)]
struct Answered<'a> {
    migration: MigrationId,
    #[serde(flatten)]
    command: &'a Command,
    answer: Option<&'a Answer>,
}

/// The unfinished migration, if there is exactly one.
///
/// # Errors
/// `NotFound` if there is none; `Invalid` if there are several, naming them; `Corrupt` if the only
/// ones have damaged journals.
pub(crate) async fn the_only_one(service: &MigrationService) -> Result<MigrationId> {
    let states: Vec<_> = service.active().try_collect().await?;
    match states.as_slice() {
        [only] => Ok(only.migration),
        [] => {
            refuse_damaged(service).await?;
            Err(Error::not_found("no unfinished migration")
                .with_hint("list finished migrations with `esm status --all`"))
        }
        several => {
            let names: Vec<_> = several.iter().map(|s| s.migration.to_string()).collect();
            let message = format!("several unfinished migrations: {}", names.join(", "));
            Err(Error::invalid(message).with_hint("name one of them"))
        }
    }
}

/// The only unfinished migration; if there is none, the only completed one that is not reversed and
/// reverses none.
///
/// # Errors
/// As [`the_only_one`].
pub(crate) async fn the_only_reversible(service: &MigrationService) -> Result<MigrationId> {
    let mut states: Vec<_> = service.migrations().try_collect().await?;
    states.sort_by_key(|state| state.migration);
    let reversed = reversed_by(&states);
    let (mut unfinished, mut completed) = (Vec::new(), Vec::new());
    for state in states {
        let Some(plan) = state.plan.as_ref().filter(|_| state.damage.is_none()) else {
            continue;
        };
        if !state.status.is_terminal() {
            unfinished.push(state.migration);
        } else if state.status == MigrationStatus::Completed
            && plan.reverses.is_none()
            && moved_objects(&state)
            && !reversed.contains_key(&state.migration)
        {
            completed.push(state.migration);
        }
    }
    match (unfinished.as_slice(), completed.as_slice()) {
        ([only], _) | ([], [only]) => Ok(*only),
        ([], []) => {
            refuse_damaged(service).await?;
            Err(Error::not_found("no migration to roll back")
                .with_hint("list all migrations with `esm status --all`"))
        }
        ([], several) | (several, _) => {
            let names: Vec<_> = several.iter().map(ToString::to_string).collect();
            let message = format!(
                "several migrations can be rolled back: {}",
                names.join(", ")
            );
            Err(Error::invalid(message).with_hint("name one of them"))
        }
    }
}

/// Whether a migration that has ended moved anything: if all was up to date, nothing can be reversed.
fn moved_objects(state: &MigrationState) -> bool {
    let statistics = state.statistics.as_ref();
    statistics.is_none_or(|statistics| statistics.migrated > 0)
}

/// Refuses to say that there is no unfinished migration if there is one with a damaged journal.
///
/// # Errors
/// `Corrupt`, naming the journal and what helps; those of the records.
pub(crate) async fn refuse_damaged(service: &MigrationService) -> Result<()> {
    let mut all = service.migrations();
    while let Some(state) = all.try_next().await? {
        if let Some(damage) = state.damage {
            return Err(Error::corrupt(damage).with_hint(DAMAGED));
        }
    }
    Ok(())
}

/// What helps where a journal is damaged.
pub(crate) const DAMAGED: &str = "its migration can be neither resumed nor rolled back; the streams are not affected: migrate the \
     same objects again with `esm migrate`, which takes over from the streams";

/// Sends a command; its author defaults to `user@host`.
///
/// # Errors
/// `NotFound`; `AlreadyExists` if the migration has ended.
pub(crate) async fn send(
    service: &MigrationService,
    migration: MigrationId,
    action: ControlAction,
    given_author: Option<&str>,
) -> Result<CommandReceipt> {
    let author = given_author.map_or_else(author, str::to_owned);
    service.control(migration).author(author).send(action).await
}

/// Waits for the answer of the migrating process, or until none runs the migration.
///
/// # Errors
/// `Cancelled` on a request to stop; those of the records and the locks.
pub(crate) async fn until_answered(
    session: &Session,
    receipt: &CommandReceipt,
    wait: Duration,
) -> Result<Reply> {
    unless_stopped(session, receipt.reply(wait)).await
}

/// Waits this long for the answer of the migrating process, also if it begins only now.
///
/// # Errors
/// As [`until_answered`].
pub(crate) async fn within(
    session: &Session,
    receipt: &CommandReceipt,
    wait: Duration,
) -> Result<Reply> {
    let reply = async {
        match receipt.answer(wait).await? {
            Some(answer) => Ok(Reply::Answer(answer)),
            None => receipt.reply(Duration::ZERO).await,
        }
    };
    unless_stopped(session, reply).await
}

/// Waits for a reply, unless a stop is requested.
///
/// # Errors
/// `Cancelled`; those of the reply.
pub(crate) async fn unless_stopped(
    session: &Session,
    reply: impl Future<Output = Result<Reply>>,
) -> Result<Reply> {
    tokio::select! {
        reply = reply => reply,
        () = session.interrupt().token().cancelled() => Err(Error::new(
            ErrorKind::Cancelled,
            "stopped on request; the command is stored",
        )),
    }
}

/// What becomes of a command that no process has answered.
fn stored(session: &Session, migration: MigrationId, command: &Command) -> Text {
    let (store, migration) = (session.store_argument(), session.output().id(migration));
    let text = Text::line(
        "the command is stored; the process that runs or resumes the migration will receive it",
    );
    match command.action {
        ControlAction::Cancel { .. } => text.and(Text::whole(format_args!(
            "or undo now:  esm rollback {migration}{store}"
        ))),
        _ => text,
    }
}

/// Prints the reply to a command.
///
/// # Errors
/// Those of the output.
pub(crate) fn report_answer(
    session: &Session,
    migration: MigrationId,
    command: &Command,
    reply: &Reply,
) -> Result<Exit> {
    let answer = match reply {
        Reply::Answer(answer) => Some(answer),
        _ => None,
    };
    let answered = Answered {
        migration,
        command,
        answer,
    };
    let action = &command.action;
    session.output().result(&answered, |_, _| match reply {
        Reply::Answer(answer) => format!("{action}: {answer}"),
        Reply::NoProcess => format!("{action}: no process runs the migration"),
        _ => format!("{action}: no answer yet"),
    })?;
    Ok(match answer {
        Some(Answer::Refused { .. }) => Exit::Conflict,
        Some(_) => Exit::Success,
        None => {
            session.output().note(stored(session, migration, command));
            Exit::Storage
        }
    })
}
