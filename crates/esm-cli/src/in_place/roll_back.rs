//! `esm rollback` on the tables of another library.

use std::path::Path;
use std::sync::Arc;

use esm_core::Result;
use esm_core::protocol::control::Answer;
use esm_core::transform::EventTransformer;
use esm_postgres::{InPlace, Rewrite, RewriteStatus, Undone};
use serde::Serialize;

use super::facts::{facts_of, hinted};
use super::place::{found, no_layout, of_layout};
use crate::confirm::{can_ask, confirmed};
use crate::exit::Exit;
use crate::migration::{IdPart, Program, Role, read_program};
use crate::output::{Form, Text, count, counted};
use crate::progress::Unit;
use crate::session::Session;

/// How to undo a migration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RollBack<'a> {
    pub(crate) migration: Option<&'a IdPart>,
    pub(crate) down: Option<&'a Path>,
    pub(crate) reason: &'a str,
    pub(crate) yes: bool,
    pub(crate) dry_run: bool,
}

/// What an undo did, or would do.
#[derive(Debug, Serialize)]
pub(super) struct RolledBack {
    #[serde(flatten)]
    known: Rewrite,
    undone: Undone,
    dry_run: bool,
}

/// Restores the originals from the archive.
///
/// # Errors
/// Those of [`esm_postgres::InPlace::roll_back`].
pub(crate) async fn roll_back(session: &Session, wanted: RollBack<'_>) -> Result<Exit> {
    let progress = session.progress("roll back", Unit::Events, None);
    let in_place = of_layout(session, Some(progress.clone()), true);
    let in_place = in_place.ok_or_else(no_layout)?;
    let is_meant = |known: &Rewrite| known.status != RewriteStatus::RolledBack;
    let known = found(&in_place, wanted.migration, "to roll back", is_meant).await?;
    let down = down_of(session, &in_place, &known, wanted.down).await?;
    let asks = !wanted.yes && can_ask(session.output());
    if wanted.dry_run || asks {
        let undone = in_place.outlook(&known, down.clone()).await?;
        progress.end();
        let outlook = RolledBack {
            known: known.clone(),
            undone,
            dry_run: true,
        };
        session.output().result(&outlook, text)?;
        if wanted.dry_run {
            return Ok(Exit::Success);
        }
        if !confirmed(session.output(), session.interrupt(), "roll back?").await? {
            session.output().note("nothing was changed");
            return Ok(Exit::Success);
        }
    }
    let done = carried_out(&in_place, &known, wanted.reason, down).await;
    progress.end();
    rolled_back(session, &done?)
}

/// Undoes a migration, and settles the commands to it.
///
/// # Errors
/// Those of [`esm_postgres::InPlace::roll_back`], with what continues an undo that has begun.
pub(super) async fn carried_out(
    in_place: &InPlace,
    known: &Rewrite,
    reason: &str,
    down: Option<Arc<dyn EventTransformer>>,
) -> Result<RolledBack> {
    let migration = known.migration;
    match in_place.roll_back(known, reason, down).await {
        Ok(undone) => {
            let known = in_place.migration(migration).await?;
            conclude_undo(in_place, &known).await?;
            Ok(RolledBack {
                undone,
                known,
                dry_run: false,
            })
        }
        Err(error) => {
            let now = in_place.migration(migration).await;
            let begun = match now.map(|now| now.status) {
                Ok(RewriteStatus::RollingBack) => "the undo has begun",
                Ok(_) => return Err(error),
                Err(_) => "if the undo has begun",
            };
            let next = format!("{begun}: `esm rollback {migration}` continues it");
            Err(hinted(error, next))
        }
    }
}

/// The program for events that came since: this one, or that of the plan.
///
/// # Errors
/// Those of reading and compiling it.
pub(super) async fn down_of(
    session: &Session,
    in_place: &InPlace,
    known: &Rewrite,
    given: Option<&Path>,
) -> Result<Option<Arc<dyn EventTransformer>>> {
    let program = match given {
        Some(path) => Some(read_program(path).await?),
        None => Program::of_plan(&known.planned.annotations, Role::Down)?,
    };
    let down = program
        .map(|program| program.compile(session.masking_key()))
        .transpose()?;
    Ok(down.map(|down| in_place.transformer(down)))
}

/// Settles the commands to a migration that was undone.
///
/// # Errors
/// Those of the server.
async fn conclude_undo(in_place: &InPlace, known: &Rewrite) -> Result<()> {
    if known.status != RewriteStatus::RolledBack {
        return Ok(());
    }
    let reason = "the migration was undone".to_owned();
    let others = Answer::Refused { reason };
    let migration = known.migration;
    in_place
        .conclude(migration, &Answer::Done, Some(&others))
        .await
}

/// Reports an undo, and what it left.
///
/// # Errors
/// Those of the output.
pub(super) fn rolled_back(session: &Session, done: &RolledBack) -> Result<Exit> {
    let (output, undone) = (session.output(), &done.undone);
    output.result(done, text)?;
    if undone.left > 0 {
        let left = counted(undone.left, "event");
        output.note(format!(
            "{left} changed or removed since, and left as they are: {}",
            undone.left_events.join(", ")
        ));
    }
    if let Some(transactions) = &undone.waits_for {
        let id = done.known.migration;
        output.note(format!(
            "may still write what nobody sees yet: {transactions}; once it has ended: esm rollback {id}"
        ));
        return Ok(Exit::Conflict);
    }
    if undone.new_code_writes {
        let id = done.known.migration;
        output.note(format!(
            "new code still writes; once it has ended, with --down: esm rollback {id}"
        ));
        return Ok(Exit::Conflict);
    }
    Ok(match undone.restored {
        // nothing is as the migration wrote it
        0 if undone.left > 0 => Exit::Conflict,
        _ => Exit::Success,
    })
}

fn text(done: &RolledBack, form: Form) -> Text {
    let mut facts = facts_of(&done.known, form);
    let (restored, back) = if done.dry_run {
        ("would be restored", "would be transformed back")
    } else {
        ("restored now", "transformed back")
    };
    facts
        .add(restored, count(done.undone.restored))
        .add(back, count(done.undone.transformed_back));
    if done.undone.left > 0 {
        facts.add("left as they are", count(done.undone.left));
    }
    if !done.undone.columns_gone.is_empty() {
        let gone = done.undone.columns_gone.join(", ");
        facts.add(
            "columns gone",
            format!("{gone}; what was in them stays in the archive"),
        );
    }
    if !done.undone.columns_converted.is_empty() {
        let converted = done.undone.columns_converted.join(", ");
        facts.add(
            "columns of another type now",
            format!("{converted}; the archive has the originals to the byte"),
        );
    }
    let text = facts.to_text(form);
    if done.dry_run {
        text.and_section("nothing was written")
    } else {
        text
    }
}
