//! Reports of migrations in place.

use esm_core::Result;
use esm_postgres::{Pass, Rewrite, RewriteStatus, Settled};
use serde::Serialize;

use super::facts::facts_of;
use super::roll_back::{RolledBack, rolled_back};
use crate::exit::Exit;
use crate::output::{Form, Text, count};
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
