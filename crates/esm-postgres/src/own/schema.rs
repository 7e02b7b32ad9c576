//! The tables of a store, and whether a server may hold one.

use esm_core::{Error, Result};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::failure::with_grant;
use crate::connection::{Database, Query, explain};

/// The format of the tables.
const FORMAT: i32 = 1;
/// The oldest server that is tested.
const OLDEST_SERVER: i32 = 150_000;

/// What must be known of a server and a schema, in one query.
const INSPECT: &str = "
SELECT current_setting('server_version_num')::int AS version,
       pg_is_in_recovery() AS standby,
       current_setting('synchronous_commit') AS synchronous_commit,
       to_regnamespace(quote_ident($1)) IS NOT NULL AS has_schema,
       to_regclass(quote_ident($1) || '.esm_format') IS NOT NULL AS has_format,
       to_regclass(quote_ident($1) || '.object') IS NOT NULL AS has_object,
       format('schema %s of database %s (%s), server %s since %s', $1, current_database(),
              (SELECT oid FROM pg_database WHERE datname = current_database()),
              (SELECT system_identifier FROM pg_control_system()),
              to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC',
                      'YYYY-MM-DD HH24:MI:SS.US')) AS place";

/// What is in a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// No tables of a store.
    Nothing,
    /// A store's tables.
    Store,
}

/// A schema of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schema {
    /// The name, quoted.
    pub(super) quoted: String,
    name: String,
}

impl Schema {
    pub(super) fn new(name: &str) -> Self {
        Self {
            quoted: format!("\"{}\"", name.replace('"', "\"\"")),
            name: name.to_owned(),
        }
    }

    /// Returns what is in the schema, and a text that is the same for it by every address.
    ///
    /// # Errors
    /// `Unsupported` for a standby, a server without durable commits, one that is too old, and a
    /// newer format; `Invalid` for a schema of another program.
    pub(super) async fn inspect(&self, database: &Database) -> Result<(Found, String)> {
        let inspect = Query::new(INSPECT).with(self.name.clone(), Type::TEXT);
        let rows = database.read(&inspect).await;
        let rows = rows.map_err(with_grant)?;
        let row = rows
            .first()
            .ok_or_else(|| Error::corrupt("server gave no row"))?;
        check_server(row)?;
        let place = row.get("place");
        if !row.get::<_, bool>("has_format") {
            if row.get::<_, bool>("has_object") {
                let message = format!("schema belongs to another program: {}", self.name);
                return Err(Error::invalid(message)
                    .with_hint("name a schema of its own for the store: ?schema=NAME"));
            }
            return Ok((Found::Nothing, place));
        }
        let format = format!("SELECT max(version) FROM {}.esm_format", self.quoted);
        let rows = database
            .read(&Query::new(&format))
            .await
            .map_err(with_grant)?;
        let format: Option<i32> = rows.first().and_then(|row| row.get(0));
        match format {
            Some(format) if format > FORMAT => Err(Error::unsupported(format!(
                "store has the newer format {format}; this version reads up to {FORMAT}: schema {}",
                self.name
            ))
            .with_hint("update esm")),
            Some(_) => Ok((Found::Store, place)),
            None => Err(Error::corrupt(format!(
                "table esm_format is empty: schema {}",
                self.name
            ))),
        }
    }

    /// Creates the schema and its tables where they are missing. Of several callers one creates
    /// them.
    ///
    /// # Errors
    /// Those of the server.
    pub(super) async fn create(&self, database: &Database) -> Result<()> {
        let client = database.open().await?;
        let created = client.batch_execute(&self.tables()).await;
        created.map_err(|e| with_grant(explain(e)))
    }

    /// One transaction. The lock is its own, so a pooler may be between.
    fn tables(&self) -> String {
        let schema = &self.quoted;
        format!(
            "BEGIN;
             SET LOCAL synchronous_commit = on;
             SELECT pg_advisory_xact_lock(hashtextextended('esm ' || '{}', 0));
             CREATE SCHEMA IF NOT EXISTS {schema};
             CREATE TABLE IF NOT EXISTS {schema}.esm_format (version int PRIMARY KEY);
             CREATE TABLE IF NOT EXISTS {schema}.object (
                 key text COLLATE \"C\" PRIMARY KEY,
                 size bigint NOT NULL,
                 body bytea,
                 upload bigint,
                 CHECK ((body IS NULL) = (upload IS NOT NULL)));
             ALTER TABLE {schema}.object ALTER body SET STORAGE EXTERNAL;
             CREATE TABLE IF NOT EXISTS {schema}.upload (
                 number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                 begun_at timestamptz NOT NULL DEFAULT now());
             CREATE TABLE IF NOT EXISTS {schema}.part (
                 upload bigint,
                 number bigint,
                 body bytea NOT NULL,
                 PRIMARY KEY (upload, number));
             ALTER TABLE {schema}.part ALTER body SET STORAGE EXTERNAL;
             INSERT INTO {schema}.esm_format VALUES ({FORMAT}) ON CONFLICT DO NOTHING;
             COMMIT;",
            self.name.replace('\'', "''")
        )
    }
}

/// Refuses a server that may forget what it acknowledged, or that shows what is out of date.
fn check_server(row: &Row) -> Result<()> {
    let version: i32 = row.get("version");
    if version < OLDEST_SERVER {
        return Err(Error::unsupported(format!(
            "PostgreSQL is older than 15: {}",
            version / 10_000
        ))
        .with_hint("update the server"));
    }
    if row.get("standby") {
        return Err(Error::unsupported("server is a standby")
            .with_hint("connect to the primary: a standby shows what is out of date"));
    }
    if row.get::<_, &str>("synchronous_commit") == "off" {
        return Err(Error::unsupported(
            "server acknowledges commits that it may lose: \
                                       synchronous_commit = off",
        )
        .with_hint("ALTER ROLE … SET synchronous_commit = on, for the role or the database"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_wherever_it_is_used() {
        let odd = Schema::new("a\"b'c");
        assert_eq!(odd.quoted, "\"a\"\"b'c\"");
        assert!(odd.tables().contains("'esm ' || 'a\"b''c'"));
    }
}
