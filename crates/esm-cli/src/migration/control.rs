//! Commands to a migration that runs in another process.

use std::time::Duration;

use esm_core::id::MigrationId;
use esm_core::migration::{CommandReceipt, MigrationService};
use esm_core::protocol::control::{Answer, Command, ControlAction};
use esm_core::{Error, Result};
use futures::TryStreamExt as _;
use serde::Serialize;

use super::service::author;
use crate::exit::Exit;
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
/// `NotFound` if there is none; `Invalid` if there are several, naming them.
pub(crate) async fn the_only_one(service: &MigrationService) -> Result<MigrationId> {
    let states: Vec<_> = service.active().try_collect().await?;
    match states.as_slice() {
        [only] => Ok(only.migration),
        [] => Err(Error::not_found("no unfinished migration")
            .with_hint("list finished migrations with `esm status --all`")),
        several => {
            let names: Vec<_> = several.iter().map(|s| s.migration.to_string()).collect();
            let message = format!("several unfinished migrations: {}", names.join(", "));
            Err(Error::invalid(message).with_hint("name one of them"))
        }
    }
}

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

/// Waits for the answer of the migrating process, at most `wait`, and prints it.
///
/// # Errors
/// Those of the records.
pub(crate) async fn report_answer(
    session: &Session,
    migration: MigrationId,
    receipt: &CommandReceipt,
    wait: Duration,
) -> Result<Exit> {
    let answer = receipt.answer(wait).await?;
    let answered = Answered {
        migration,
        command: &receipt.command,
        answer: answer.as_ref(),
    };
    let action = &receipt.command.action;
    session.output().result(&answered, |_, _| match &answer {
        Some(answer) => format!("{action}: {answer}"),
        None => format!("{action}: no answer yet"),
    })?;
    Ok(match answer {
        Some(Answer::Refused { .. }) => Exit::Conflict,
        Some(_) => Exit::Success,
        None => {
            session.output().note(
                "the command is stored; the process that runs or resumes the migration will \
                 receive it",
            );
            Exit::Storage
        }
    })
}
