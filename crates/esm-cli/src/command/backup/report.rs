//! The report of backups.

use esm_core::Error;
use esm_view::backup::{ShownBackup, ShownBackups, ShownPrune};

use crate::exit::Exit;
use crate::output::{Facts, Form, Table, Text, bytes, count, short_id, to_the_second};
use crate::session::Session;

/// One backup as lines.
pub(super) fn backup_text(shown: &ShownBackup, form: Form) -> Text {
    let mut facts = Facts::new();
    facts
        .add("backup", &shown.id)
        .add("kind", shown.kind())
        .add("objects", shown.of())
        .add("created", to_the_second(shown.created_at))
        .add("retained", shown.retained())
        .add("events", count(shown.events))
        .add("size", bytes(shown.uncompressed_bytes))
        .add("stored", bytes(shown.stored_bytes))
        .add("blake3", &shown.stored_blake3)
        .add_some("migration", shown.migration);
    for (key, value) in &shown.tags {
        facts.add(format!("tag {key}"), value);
    }
    facts.to_text(form)
}

/// The backups as a table.
pub(super) fn backups_text(shown: &ShownBackups, form: Form) -> Text {
    if shown.backups.is_empty() {
        return "no backups".into();
    }
    let mut table = Table::new([
        "backup", "kind", "objects", "events", "stored", "created", "retained",
    ]);
    for backup in &shown.backups {
        table.row([
            short_id(&backup.id, form),
            backup.kind().to_owned(),
            backup.of(),
            backup.events.to_string(),
            bytes(backup.stored_bytes),
            to_the_second(backup.created_at),
            backup.retained(),
        ]);
    }
    table.to_text(form)
}

/// What was pruned or would be, and why, and what is kept.
pub(super) fn prune_text(shown: &ShownPrune, form: Form) -> Text {
    if shown.backups.is_empty() && shown.kept.is_empty() {
        return "nothing to prune".into();
    }
    let mut table = Table::new(["backup", "objects", "created", "verdict", "reason"]);
    let removed = shown.backups.iter().map(|judged| (judged, "delete"));
    for (judged, verdict) in removed.chain(shown.kept.iter().map(|judged| (judged, "keep"))) {
        table.row([
            short_id(&judged.backup.id, form),
            judged.backup.of(),
            to_the_second(judged.backup.created_at),
            verdict.to_owned(),
            judged.reason.clone(),
        ]);
    }
    table.to_text(form)
}

/// Reports damaged manifests, and returns the exit code of a command that did everything else.
pub(super) fn report_damaged(session: &Session, damaged: &[Error]) -> Exit {
    let mut exit = Exit::Success;
    for error in damaged {
        exit = session.output().fail(error);
    }
    exit
}
