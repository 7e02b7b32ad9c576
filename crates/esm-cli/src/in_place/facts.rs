//! The facts of a migration in place, and the hints of its errors.

use esm_core::Error;
use esm_postgres::{Rewrite, RewriteStatus};

use crate::output::{Facts, Form, count, short_id};

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
