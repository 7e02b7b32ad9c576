//! The tables of rewrites in place.

use std::time::Duration;

use esm_core::{Error, ErrorKind, Result};

use super::wire::{Failure, Row, Wire};

/// The schema, one for all tables of a database: a claim that another schema does not have would
/// fence nothing.
pub(super) const SCHEMA: &str = "esm_in_place";

/// The format of the tables.
const FORMAT: &str = "1";

/// How long creating the tables may take.
const LONGEST: Duration = Duration::from_secs(10);

const EXISTS: &str = "SELECT to_regclass('esm_in_place.format') IS NOT NULL, \
     to_regnamespace('esm_in_place') IS NOT NULL, \
     has_database_privilege(current_database(), 'CREATE'), quote_ident(current_database()), \
     quote_ident(current_user)";

/// One statement after another in one transaction; concurrent callers wait for each other.
const CREATE: &str = "SELECT pg_advisory_xact_lock(hashtextextended('esm_in_place', 0));
CREATE SCHEMA IF NOT EXISTS esm_in_place;
CREATE TABLE IF NOT EXISTS esm_in_place.format (version int PRIMARY KEY);
CREATE TABLE IF NOT EXISTS esm_in_place.claim (
    relation text COLLATE \"C\" PRIMARY KEY,
    migration uuid,
    epoch bigint NOT NULL);
CREATE TABLE IF NOT EXISTS esm_in_place.migration (
    id uuid PRIMARY KEY,
    relation text COLLATE \"C\" NOT NULL,
    status text NOT NULL,
    fingerprint text NOT NULL,
    plan text NOT NULL,
    schemas text NOT NULL,
    holder text NOT NULL,
    process text,
    reason text,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz,
    waits_for text,
    archive_dropped_at timestamptz);
CREATE TABLE IF NOT EXISTS esm_in_place.control (
    migration uuid NOT NULL,
    number bigint NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (migration, number));
CREATE TABLE IF NOT EXISTS esm_in_place.archive (
    migration uuid NOT NULL,
    key text[] COLLATE \"C\" NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('swap', 'down', 'drop')),
    id text,
    whole jsonb,
    old_type text NOT NULL,
    old_class text,
    old_version text,
    old_payload text,
    old_metadata text,
    new_type text,
    new_class text,
    new_version text,
    new_payload text,
    new_metadata text,
    undone_at timestamptz,
    PRIMARY KEY (migration, key, number));
CREATE TABLE IF NOT EXISTS esm_in_place.swap (
    migration uuid NOT NULL,
    kind text NOT NULL,
    key text[] COLLATE \"C\" NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    rows bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX IF NOT EXISTS swap_migration ON esm_in_place.swap (migration);
INSERT INTO esm_in_place.format VALUES (1) ON CONFLICT DO NOTHING";

/// Returns whether the tables are there.
///
/// # Errors
/// `Unsupported` for a newer format; those of the server.
pub(super) async fn exists(wire: &Wire) -> Result<bool> {
    let found = wire.read(EXISTS).await?;
    if !is_true(&found, 0) {
        return Ok(false);
    }
    let format = "SELECT max(version) FROM esm_in_place.format";
    let rows = wire.read(format).await.map_err(with_grant)?;
    match rows.first().and_then(|row| row.first().cloned().flatten()) {
        Some(format) if format == FORMAT => Ok(true),
        found => {
            let found = found.unwrap_or_else(|| "none".to_owned());
            let message = format!("schema {SCHEMA} has another format, known is 1: {found}");
            Err(Error::unsupported(message).with_hint("use a newer esm"))
        }
    }
}

/// Creates the tables where they are missing.
///
/// # Errors
/// `PermissionDenied` with the `GRANT` that is missing; those of the server.
pub(super) async fn create(wire: &Wire) -> Result<()> {
    if exists(wire).await? {
        return Ok(());
    }
    if let Some(grant) = missing_grant(wire).await? {
        let message = format!("no right to create the schema {SCHEMA}");
        return Err(Error::new(ErrorKind::PermissionDenied, message).with_hint(grant));
    }
    let created = wire.write(CREATE, LONGEST).await;
    created.map(drop).map_err(Failure::into_error)
}

/// Returns the statement that would grant the right to create the schema, if it is missing.
///
/// # Errors
/// Those of the server.
pub(super) async fn missing_grant(wire: &Wire) -> Result<Option<String>> {
    let found = wire.read(EXISTS).await?;
    if is_true(&found, 1) || is_true(&found, 2) {
        return Ok(None);
    }
    let text = |column: usize| text(&found, column);
    let (database, user) = (text(3), text(4));
    Ok(Some(format!(
        "GRANT CREATE ON DATABASE {database} TO {user}"
    )))
}

/// Adds the rights on the schema to an error about missing ones.
pub(super) fn with_grant(error: Error) -> Error {
    if *error.kind() != ErrorKind::PermissionDenied || error.hint().is_some() {
        return error;
    }
    error.with_hint(
        "GRANT USAGE ON SCHEMA esm_in_place; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN \
         SCHEMA esm_in_place, to this user",
    )
}

fn text(rows: &[Row], column: usize) -> String {
    let value = rows.first().and_then(|row| row.get(column).cloned());
    value.flatten().unwrap_or_default()
}

fn is_true(rows: &[Row], column: usize) -> bool {
    text(rows, column) == "t"
}
