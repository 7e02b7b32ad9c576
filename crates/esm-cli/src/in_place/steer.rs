//! `esm pause`, `cancel`, `set` and the resumption of a pause on the tables of another library.

use std::time::Duration;

use esm_core::Result;
use esm_core::migration::Reply;
use esm_core::protocol::control::ControlAction;
use esm_postgres::{InPlace, Rewrite};

use super::place::{found, in_place, no_layout};
use crate::exit::Exit;
use crate::migration::{IdPart, author, report_answer, unless_stopped};
use crate::session::Session;

/// A command to a migration, and how long its answer is waited for.
#[derive(Debug)]
pub(crate) struct Sent<'a> {
    pub(crate) migration: Option<&'a IdPart>,
    pub(crate) action: ControlAction,
    pub(crate) author: Option<&'a str>,
    pub(crate) wait: Duration,
    /// Whether a process may begin meanwhile.
    pub(crate) may_begin: bool,
}

/// Sends a command and reports the answer.
///
/// # Errors
/// `NotFound`; those of [`InPlace::send`].
pub(crate) async fn steer(session: &Session, sent: Sent<'_>) -> Result<Exit> {
    let in_place = in_place(session).ok_or_else(no_layout)?;
    let is_open = |known: &Rewrite| !known.status.is_terminal();
    let known = found(&in_place, sent.migration, "that is unfinished", is_open).await?;
    let author = sent.author.map_or_else(author, str::to_owned);
    let command = in_place.send(&known, sent.action, author).await?;
    let reply = in_place.reply(known.migration, &command, sent.wait, sent.may_begin);
    let reply = unless_stopped(session, reply).await?;
    report_answer(session, known.migration, &command, &reply)
}

/// Ends a pause before a migration is continued. Returns the exit code if the process that runs it
/// continues it.
///
/// # Errors
/// Those of [`InPlace::send`].
pub(super) async fn end_pause(
    session: &Session,
    in_place: &InPlace,
    known: &Rewrite,
    wait: Duration,
) -> Result<Option<Exit>> {
    let migration = known.migration;
    if !in_place.commands(migration).await?.pauses() {
        return Ok(None);
    }
    let command = in_place
        .send(known, ControlAction::Resume, author())
        .await?;
    let reply = unless_stopped(session, in_place.reply(migration, &command, wait, false)).await?;
    if reply == Reply::NoProcess {
        return Ok(None);
    }
    report_answer(session, migration, &command, &reply).map(Some)
}
