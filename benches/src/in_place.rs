//! Rewriting the table of another library in place, against one statement by hand, and against copying
//! the table. Includes what `esm migrate` does besides: it plans, and looks twice for what old code
//! wrote.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use esm_testkit::containers::{self, Postgres, PostgresVersion};
use futures::{SinkExt as _, StreamExt as _, pin_mut};
use tokio::process::Command;
use tokio_postgres::{Client, NoTls};

use crate::Options;
use crate::measure::{Comparison, timed};
use crate::report::Report;

/// Streams of the table.
const STREAMS: u64 = 100;

/// The table of cqrs-es.
const TABLE: &str = "CREATE TABLE events (
    aggregate_type text NOT NULL, aggregate_id text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence >= 0),
    event_type text NOT NULL, event_version text NOT NULL,
    payload json NOT NULL, metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence))";

/// Masks a member of every event, and gives it the next version.
const PROGRAM: &str = r#".data.Noted.by = "masked" | .schemaversion = 2"#;

/// The same by hand.
const BY_HAND: &str = r#"UPDATE events SET event_version = '2.0', payload = json_build_object(
    event_type, jsonb_set((payload -> event_type)::jsonb, '{by}', '"masked"'))"#;

pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    // says so itself where there is none
    let Some(server) = containers::postgres(PostgresVersion::V18).await else {
        return Ok(());
    };
    let root = options.directory("in-place")?;
    let program = root.path().join("mask.jq");
    std::fs::write(&program, PROGRAM)?;
    let events = options.events / STREAMS;
    let (mut to_update, mut to_copy) = <(Comparison, Comparison)>::default();
    let (mut ours, mut by_hand) = (Growth::default(), Growth::default());
    for _ in 0..options.runs {
        let table = Table::fresh(&server, events).await?;
        let before = table.size().await?;
        let (update, done) = timed(table.client.batch_execute(BY_HAND)).await;
        done?;
        by_hand = table.size().await?.since(before);

        let table = Table::fresh(&server, events).await?;
        let (copy, done) = timed(table.copy()).await;
        done?;

        let table = Table::fresh(&server, events).await?;
        let before = table.size().await?;
        let (esm, done) = timed(migrate(&table.address, server.password(), &program)).await;
        done?;
        table.ensure_masked(events * STREAMS).await?;
        ours = table.size().await?.since(before);
        to_update.add(esm, update);
        to_copy.add(esm, copy);
    }
    report.section(&format!(
        "{STREAMS} streams of {events} events in a table of cqrs-es, all rewritten in place"
    ));
    report.ratio("to one UPDATE of the same rows", &to_update);
    report.ratio("to copying the table out and in", &to_copy);
    report.line(&format!("esm: {ours}"));
    report.line(&format!("UPDATE: {by_hand}"));
    Ok(())
}

/// A table in a database of its own.
struct Table {
    address: String,
    client: Client,
}

impl Table {
    async fn fresh(server: &Postgres, events: u64) -> Result<Self> {
        let address = server.database().await;
        let with_password = format!("postgres:{}@", server.password());
        let url = address.replacen("postgres@", &with_password, 1);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(TABLE).await?;
        let fill = format!(
            "INSERT INTO events SELECT 'order', s, n, 'Noted', '1.0',
                 json_build_object('Noted', json_build_object('by', 'user ' || n % 97, 'number', n,
                     'reference', md5(n::text || s), 'comment', md5(s::text) || md5(n::text))), '{{}}'
             FROM generate_series(1, {STREAMS}) s, generate_series(1, {events}) n"
        );
        client.batch_execute(&fill).await?;
        client.batch_execute("VACUUM ANALYZE events").await?;
        client.batch_execute("CHECKPOINT").await?;
        Ok(Self { address, client })
    }

    /// Copies all rows to this process and back into another table.
    async fn copy(&self) -> Result<()> {
        let like = "CREATE TABLE copied (LIKE events INCLUDING ALL)";
        self.client.batch_execute(like).await?;
        let rows = self.client.copy_out("COPY events TO STDOUT").await?;
        pin_mut!(rows);
        let mut read = Vec::new();
        while let Some(row) = rows.next().await {
            read.push(row?);
        }
        let sink = self.client.copy_in("COPY copied FROM STDIN").await?;
        pin_mut!(sink);
        for row in read {
            sink.feed(row).await?;
        }
        sink.finish().await?;
        Ok(())
    }

    async fn size(&self) -> Result<Growth> {
        let sizes = "SELECT pg_total_relation_size('events'),
                (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
                 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                 WHERE nspname = 'esm_in_place' AND relkind = 'r'),
                (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint";
        let row = self.client.query_one(sizes, &[]).await?;
        Ok(Growth {
            table: row.try_get(0)?,
            archive: row.try_get(1)?,
            log: row.try_get(2)?,
        })
    }

    /// Refuses to measure what did not work.
    async fn ensure_masked(&self, events: u64) -> Result<()> {
        let count = "SELECT count(*) FROM events
                     WHERE event_version = '2.0' AND payload -> 'Noted' ->> 'by' = 'masked'";
        let masked: i64 = self.client.query_one(count, &[]).await?.try_get(0)?;
        ensure!(
            masked == events as i64,
            "{masked} of {events} events are masked"
        );
        Ok(())
    }
}

/// Runs the `esm` that was built beside this program.
async fn migrate(address: &str, password: &str, program: &Path) -> Result<()> {
    let esm = std::env::current_exe()?.with_file_name("esm");
    let mut command = Command::new(&esm);
    command
        .args(["migrate", "--all", "--progress", "off", "--transform"])
        .arg(program)
        .env("ESM_STORE", address)
        .env("PGPASSWORD", password)
        .stdin(Stdio::null());
    let output = command.output().await;
    let output = output.with_context(|| format!("cannot run {}", esm.display()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "esm failed: {errors}");
    Ok(())
}

/// What something has made larger, in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Growth {
    /// The table with its index.
    table: i64,
    /// The tables of esm.
    archive: i64,
    /// The write-ahead log, of whatever the server did.
    log: i64,
}

impl Growth {
    fn since(self, before: Self) -> Self {
        Self {
            table: self.table - before.table,
            archive: self.archive - before.archive,
            log: self.log - before.log,
        }
    }
}

impl std::fmt::Display for Growth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mebibytes = |bytes: i64| bytes as f64 / f64::from(1 << 20);
        write!(
            f,
            "the table grew by {:.1} MiB, the archive by {:.1} MiB; {:.1} MiB of write-ahead log",
            mebibytes(self.table),
            mebibytes(self.archive),
            mebibytes(self.log)
        )
    }
}
