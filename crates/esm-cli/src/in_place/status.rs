//! `esm status` on the tables of another library.

use esm_core::Result;
use esm_postgres::{Behind, InPlace, Rewrite, RewriteStatus, Surroundings};
use serde::Serialize;

use super::facts::{facts_of, state};
use super::place::found;
use crate::exit::Exit;
use crate::migration::IdPart;
use crate::output::{Form, Table, count, short_id};
use crate::session::Session;

#[derive(Debug, Serialize)]
struct Migrations {
    migrations: Vec<Rewrite>,
}

/// A migration, and what it costs the server while it is open.
#[derive(Debug, Serialize)]
struct Seen<'a> {
    #[serde(flatten)]
    known: &'a Rewrite,
    #[serde(skip_serializing_if = "Option::is_none")]
    surroundings: Option<Surroundings>,
}

fn dead(surroundings: &Surroundings) -> String {
    let rows = count(surroundings.dead_rows);
    if surroundings.is_vacuumed {
        format!("{rows}, vacuum is at work")
    } else {
        rows
    }
}

fn lag(behind: &Behind) -> String {
    format!("{} is {} bytes behind", behind.what, count(behind.bytes))
}

/// Shows the unfinished migrations of the table, all, or one.
///
/// # Errors
/// `NotFound`; those of the server.
pub(crate) async fn status(
    session: &Session,
    in_place: &InPlace,
    named: Option<&IdPart>,
    all: bool,
) -> Result<Exit> {
    if named.is_some() {
        let known = found(in_place, named, "of this id", |_| true).await?;
        let surroundings = if known.status.is_terminal() {
            None
        } else {
            Some(in_place.surroundings().await?)
        };
        let seen = Seen {
            known: &known,
            surroundings,
        };
        session.output().result(&seen, |seen, form| {
            let known = seen.known;
            let mut facts = facts_of(known, form);
            if let Some(surroundings) = &seen.surroundings {
                facts.add("dead rows", dead(surroundings));
                for behind in &surroundings.behind {
                    facts.add("replication", lag(behind));
                }
            }
            facts
                .add("holder", &known.holder)
                .add("started", &known.began_at)
                .add("last change", &known.changed_at)
                .add_some("reason", known.reason.as_ref());
            facts.to_text(form)
        })?;
        if let Some(next) = next(&known) {
            session.output().note(next);
        }
        return Ok(Exit::Success);
    }
    let mut migrations = in_place.migrations().await?;
    migrations.retain(|known| all || !known.status.is_terminal());
    let none = if all {
        "no migrations"
    } else {
        "no unfinished migrations; add --all to show finished ones"
    };
    let migrations = Migrations { migrations };
    session.output().result(&migrations, |found, form| {
        if found.migrations.is_empty() {
            return none.into();
        }
        table(&found.migrations, form).to_text(form)
    })?;
    Ok(Exit::Success)
}

/// What is to be done about a migration.
fn next(known: &Rewrite) -> Option<String> {
    let id = known.migration;
    let next = match known.status {
        _ if known.is_at_work => return None,
        RewriteStatus::Rewriting => format!("esm resume {id}"),
        RewriteStatus::Rewritten => format!("once old code has ended: esm finish {id}"),
        RewriteStatus::RollingBack => format!("esm rollback {id}"),
        RewriteStatus::Finished | RewriteStatus::RolledBack => return None,
    };
    Some(format!("next: {next}"))
}

fn table(migrations: &[Rewrite], form: Form) -> Table {
    let mut table = Table::new([
        "migration",
        "state",
        "table",
        "scope",
        "rewritten",
        "last change",
    ]);
    for known in migrations {
        table.row([
            short_id(known.migration, form),
            state(known),
            known.table.clone(),
            known.planned.scope.to_string(),
            count(known.rewritten),
            known.changed_at.clone(),
        ]);
    }
    table
}
