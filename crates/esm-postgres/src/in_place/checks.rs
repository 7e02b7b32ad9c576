//! Whether a table can be rewritten in place, and what to know before.

use esm_core::{Error, ErrorKind, Result};

use super::catalogue::{Findings, findings};
use super::shared::Shared;
use super::{drops, schema};

/// What is refused, why, and what to do about it.
const REFUSED: [(&str, &str, &str); 9] = [
    (
        "standby",
        "a standby cannot be written to",
        "connect to the primary",
    ),
    (
        "foreign",
        "a part of it is a table of another server",
        "migrate the events in the database that the part is in, or detach it",
    ),
    (
        "inherits",
        "tables inherit from it, and no index is unique in all of them",
        "end the inheritance (ALTER TABLE … NO INHERIT), or use partitions",
    ),
    (
        "access method",
        "events are in a table that is not of PostgreSQL's own kind",
        "export the events, and import them into a store of esm's",
    ),
    (
        "row security",
        "row security would hide events",
        "use a role with BYPASSRLS, or the owner of the table",
    ),
    (
        "rule",
        "a rule replaces updates",
        "drop the rule, or disable it as long as events are rewritten",
    ),
    (
        "generated",
        "a column is generated from what is rewritten",
        "drop the generated column, and add it again afterwards",
    ),
    (
        "unique",
        "a unique index depends on what is rewritten: old code could insert a duplicate",
        "drop the index, and create it again afterwards, once old code has ended",
    ),
    (
        "subscribed",
        "the table receives its rows from another server",
        "migrate the events on the publisher",
    ),
];

/// # Errors
/// `Unsupported` with the first reason; `PermissionDenied` with the `GRANT` that is missing.
pub(super) async fn check(shared: &Shared, drops: bool, refuses: bool) -> Result<Vec<String>> {
    let table = shared.statements.table();
    ensure_columns_apart(shared)?;
    let found = findings(&shared.wire, table).await?;
    let relation = &table.full_name;
    ensure_granted(relation, &found)?;
    schema::ensure_rights(&shared.wire, refuses).await?;
    ensure_rewritable(relation, &found)?;
    if drops {
        check_drops(relation, &found)?;
    }
    if let Some(triggers) = found
        .get("trigger")
        .filter(|_| !shared.options.allow_triggers)
    {
        let reason = "triggers would run for every event that is rewritten";
        return Err(refused(relation, reason, triggers)
            .with_hint("disable them while the migration runs, or add --allow-triggers"));
    }
    Ok(warnings(&found))
}

/// Checks the rights that every rewrite needs.
///
/// # Errors
/// `Unsupported` on a standby; `PermissionDenied` with the `GRANT` that is missing; those of the server.
pub(super) async fn check_rights(shared: &Shared) -> Result<()> {
    let table = shared.statements.table();
    let found = findings(&shared.wire, table).await?;
    let [standby, ..] = REFUSED;
    ensure_none(&table.full_name, &found, standby)?;
    ensure_granted(&table.full_name, &found)?;
    schema::ensure_rights(&shared.wire, false).await
}

/// Checks what an undo needs of the table as it is now.
///
/// # Errors
/// As [`check_rights`]; `Unsupported` with what hinders a rewrite.
pub(super) async fn check_undo(shared: &Shared) -> Result<()> {
    let table = shared.statements.table();
    let found = findings(&shared.wire, table).await?;
    ensure_granted(&table.full_name, &found)?;
    schema::ensure_rights(&shared.wire, false).await?;
    ensure_rewritable(&table.full_name, &found)
}

fn ensure_rewritable(relation: &str, found: &Findings) -> Result<()> {
    let mut reasons = REFUSED.into_iter();
    reasons.try_for_each(|reason| ensure_none(relation, found, reason))
}

fn ensure_none(
    relation: &str,
    found: &Findings,
    (kind, reason, advice): (&str, &str, &'static str),
) -> Result<()> {
    match found.get(kind) {
        Some(named) => Err(refused(relation, reason, named).with_hint(advice)),
        None => Ok(()),
    }
}

fn ensure_granted(relation: &str, found: &Findings) -> Result<()> {
    match found.get("grant") {
        Some(grants) => {
            let message = format!("no right to rewrite events: {relation}");
            Err(Error::new(ErrorKind::PermissionDenied, message).with_hint(grants.join("; ")))
        }
        None => Ok(()),
    }
}

/// Checks that rows can be removed, and put back by an undo.
///
/// # Errors
/// `PermissionDenied` and `Unsupported`, with the reason; those of the server.
pub(super) async fn check_removals(shared: &Shared) -> Result<()> {
    let table = shared.statements.table();
    check_drops(&table.full_name, &findings(&shared.wire, table).await?)
}

/// Checks that rows can be removed, and put back by an undo.
fn check_drops(relation: &str, found: &Findings) -> Result<()> {
    if let Some(grants) = found.get("grant to drop") {
        let message = format!("no right to remove events: {relation}");
        return Err(Error::new(ErrorKind::PermissionDenied, message).with_hint(grants.join("; ")));
    }
    match found.get("drops") {
        Some(named) => Err(drops::refused(relation, &named.join(", "))),
        None => Ok(()),
    }
}

/// A layout of one's own may use a column for two things.
fn ensure_columns_apart(shared: &Shared) -> Result<()> {
    let events = &shared.streams.layout.events;
    let fixed = events.key.iter().chain(&events.global_order);
    let fixed = fixed
        .chain([&events.number])
        .chain(&events.id)
        .chain(&events.time);
    let rewritten: Vec<&str> = shared
        .statements
        .table()
        .rewritten()
        .map(|column| column.name.as_str())
        .collect();
    let mut both = fixed.filter(|column| rewritten.contains(&column.as_str()));
    match both.next() {
        Some(column) => Err(Error::unsupported(format!(
            "a column is rewritten that must stay as it is: {column}"
        ))
        .with_hint("give type, version, payload and metadata columns of their own")),
        None => Ok(()),
    }
}

fn refused(relation: &str, reason: &str, named: &[String]) -> Error {
    let named = named.join(", ");
    Error::unsupported(format!("{relation} cannot be rewritten, {reason}: {named}"))
}

fn warnings(found: &Findings) -> Vec<String> {
    let mut warnings = Vec::new();
    for (kind, about) in [
        ("trigger", "triggers run for every event that is rewritten"),
        (
            "published",
            "publications send every rewritten event as an update; change data capture sees it",
        ),
        (
            "slot",
            "replication slots keep the write-ahead log until it is read",
        ),
    ] {
        if let Some(named) = found.get(kind) {
            warnings.push(format!("{about}: {}", named.join(", ")));
        }
    }
    if let (Some(named), true) = (
        found.get("replica identity"),
        found.contains_key("published"),
    ) {
        warnings.push(format!(
            "a published table without a replica identity refuses updates: {}",
            named.join(", ")
        ));
    }
    warnings
}
