//! Reports of migrations in place.

use esm_core::{Error, Result};
use esm_postgres::{Pass, Rewrite, RewriteStatus, Settled};
use serde::Serialize;

use super::roll_back::{RolledBack, rolled_back};
use crate::exit::Exit;
use crate::output::{Facts, Form, Text, count, short_id};
use crate::session::Session;

/// What a run did.
#[derive(Debug, Serialize)]
pub(crate) struct Ran {
    #[serde(flatten)]
    pub(crate) known: Rewrite,
    pub(crate) pass: Pass,
    /// What old code wrote meanwhile; absent where it is accepted as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) settled: Option<Settled>,
}

/// How a run ended.
#[derive(Debug)]
pub(super) enum Ended {
    Ran(Ran),
    /// A command cancelled it.
    Undone(RolledBack),
}

/// Reports a run.
///
/// # Errors
/// Those of the run.
pub(super) fn ran(session: &Session, ended: Result<Ended>) -> Result<Exit> {
    let output = session.output();
    let ran = match ended? {
        Ended::Ran(ran) => ran,
        Ended::Undone(done) => {
            rolled_back(session, &done)?;
            return Ok(Exit::Interrupted);
        }
    };
    output.result(&ran, text)?;
    if ran.known.status == RewriteStatus::Rewritten {
        output.note(unsettled(&ran));
    } else {
        let id = ran.known.migration;
        let undo = format!("undo:                  esm rollback {id}");
        let remove = format!("remove the originals:  esm archive drop {id}");
        output.note(Text::line(undo).and(remove));
    }
    Ok(Exit::Success)
}

/// What is left to do, where old code still writes.
fn unsettled(ran: &Ran) -> Text {
    let settled = ran.settled.clone().unwrap_or_default();
    let id = ran.known.migration;
    let why = match (settled.waits_for, &ran.known.refuses_by) {
        (Some(older), _) => format!("rewritten; older transactions have not ended: {older}"),
        (None, Some(trigger)) => format!("rewritten; old code is refused by the {trigger}"),
        (None, None) => format!(
            "rewritten; old code still writes, {} so far",
            count(settled.swept)
        ),
    };
    Text::line(why).and(format!("once old code has ended: esm finish {id}"))
}

fn text(ran: &Ran, form: Form) -> Text {
    let mut facts = facts_of(&ran.known, form);
    facts
        .add("objects", count(ran.pass.objects))
        .add("events read", count(ran.pass.events))
        .add("rewritten now", count(ran.pass.rewritten));
    if ran.pass.dropped > 0 {
        facts.add("removed of these", count(ran.pass.dropped));
    }
    if ran.pass.left > 0 {
        facts.add("to be dropped, but last", count(ran.pass.left));
    }
    if let Some(settled) = &ran.settled {
        facts.add("of old code", count(settled.swept));
    }
    facts.to_text(form)
}

/// An error with one more hint.
pub(super) fn hinted(error: Error, next: String) -> Error {
    let hint = match error.hint() {
        Some(hint) => format!("{hint}; {next}"),
        None => next,
    };
    error.with_hint(hint)
}

/// The facts of a migration.
pub(super) fn facts_of(known: &Rewrite, form: Form) -> Facts {
    let mut facts = Facts::new();
    facts
        .add("migration", short_id(known.migration, form))
        .add("table", &known.table)
        .add("state", state(known))
        .add("scope", &known.planned.scope)
        .add("events rewritten", count(known.rewritten));
    if known.restored > 0 {
        facts.add("events restored", count(known.restored));
    }
    facts.add_some(
        "waits for",
        known.waits_for.as_ref().filter(|_| known.is_at_work),
    );
    facts.add_some("old code refused by", known.refuses_by.as_ref());
    facts.add_some("lets all pass", known.passes_by.as_ref());
    facts.add_some("archive dropped", known.archive_dropped_at.as_ref());
    facts
}

/// The state of a migration in words.
pub(super) fn state(known: &Rewrite) -> String {
    let name = known.status.name().replace('_', " ");
    match (known.status.is_terminal(), known.is_at_work) {
        (true, _) | (false, true) => name,
        (false, false) if known.status == RewriteStatus::Rewritten => {
            format!("{name}, to be finished")
        }
        (false, false) => format!("{name}, stopped"),
    }
}
