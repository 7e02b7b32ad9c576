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

/// Whether the tables are there, which needs no right on them.
const EXISTS: &str = "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n \
     ON n.oid = c.relnamespace WHERE n.nspname = 'esm_in_place' AND c.relname = 'format')";

/// The statements that would grant the rights that are missing. `{creates}` is whether something is
/// created in the schema.
const MISSING: &str = "
WITH own AS (SELECT oid FROM pg_namespace WHERE nspname = 'esm_in_place')
SELECT format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user)
WHERE NOT EXISTS (SELECT FROM own) AND NOT has_database_privilege(current_database(), 'CREATE')
UNION ALL
SELECT format('GRANT USAGE%s ON SCHEMA esm_in_place TO %I',
              CASE WHEN {creates} THEN ', CREATE' END, current_user)
FROM own WHERE NOT has_schema_privilege(oid, 'USAGE')
    OR {creates} AND NOT has_schema_privilege(oid, 'CREATE')
UNION ALL
SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA esm_in_place TO %I',
              current_user)
FROM own WHERE EXISTS (
    SELECT FROM pg_class c,
        unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS needed (privilege)
    WHERE c.relnamespace = own.oid AND c.relkind = 'r'
        AND NOT has_table_privilege(c.oid, needed.privilege))";

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
    let created = wire.write(CREATE, LONGEST).await;
    created.map(drop).map_err(Failure::into_error)
}

/// Checks the rights on the schema, or to create it; `creates` adds the right to create in it.
///
/// # Errors
/// `PermissionDenied` with the `GRANT` that is missing; those of the server.
pub(super) async fn ensure_rights(wire: &Wire, creates: bool) -> Result<()> {
    let missing = MISSING.replace("{creates}", &creates.to_string());
    let rows = wire.read(&missing).await?.into_iter();
    let grants: Vec<_> = rows.filter_map(|row| row.into_iter().next()?).collect();
    if grants.is_empty() {
        return Ok(());
    }
    let message = format!("no right to use or to create the schema {SCHEMA}");
    Err(Error::new(ErrorKind::PermissionDenied, message).with_hint(grants.join("; ")))
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
