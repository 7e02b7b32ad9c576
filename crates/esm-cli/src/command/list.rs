//! `esm list`

use esm_core::Result;
use esm_core::event::Revision;
use esm_core::id::{ObjectId, ObjectName, StreamId};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use crate::exit::Exit;
use crate::output::{Table, count};
use crate::session::Session;

/// List the objects of a store.
///
/// Prints each object with its number of events and its active stream: up to 1,000 objects sorted by
/// name, more as they are found. With --output json, prints a JSON document per line.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm list
  esm list --name order --contains 2024 --limit 20
  esm list --names-only | wc -l
  esm list --output json | jq -r 'select(.migrations > 0) | .object'")]
pub(crate) struct List {
    /// Only objects of this name (`order` of `order/123`).
    #[arg(long, value_name = "NAME")]
    name: Option<ObjectName>,
    /// Only objects whose key contains this text.
    #[arg(long, value_name = "TEXT")]
    contains: Option<String>,
    /// Only migrated objects.
    #[arg(long, conflicts_with_all = ["not_migrated", "names_only"])]
    migrated: bool,
    /// Only objects that were not migrated.
    #[arg(long, conflicts_with = "names_only")]
    not_migrated: bool,
    /// Maximum number of objects.
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// Print only the names, without reading each object: one request lists many objects.
    #[arg(long)]
    names_only: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    object: ObjectId,
    events: Revision,
    stream: StreamId,
    migrations: usize,
}

/// Objects read concurrently.
const CONCURRENCY: usize = 16;
/// Most objects that are sorted.
const SORTED: usize = 1_000;
/// Rows printed at once, which limits memory and aligns the columns.
const ROWS: usize = 100;

impl List {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let matching = session
            .documents()
            .objects(self.name.clone())
            .try_filter(|object| {
                let wanted = self
                    .contains
                    .as_ref()
                    .is_none_or(|text| object.key().as_str().contains(text));
                std::future::ready(wanted)
            });
        let matching = sorted_if_few(matching.boxed()).await?;
        let most = self.limit.unwrap_or(usize::MAX);
        if self.names_only {
            return print_names(session, matching.take(most).boxed()).await;
        }
        let rows = matching
            .map_ok(|object| row(session, object))
            .try_buffered(CONCURRENCY)
            .try_filter(|row| std::future::ready(self.wants(row)))
            .take(most);
        print_rows(session, rows.boxed()).await
    }

    fn wants(&self, row: &Row) -> bool {
        !(self.migrated && row.migrations == 0 || self.not_migrated && row.migrations > 0)
    }
}

/// The objects, sorted unless there are many: then memory would grow with them.
async fn sorted_if_few(mut objects: Rows<'_, ObjectId>) -> Result<Rows<'_, ObjectId>> {
    let mut first: Vec<_> = objects.by_ref().take(SORTED + 1).try_collect().await?;
    if first.len() <= SORTED {
        first.sort();
    }
    Ok(futures::stream::iter(first.into_iter().map(Ok))
        .chain(objects)
        .boxed())
}

async fn row(session: &Session, object: ObjectId) -> Result<Row> {
    let loaded = session.reader().load(&object).await?;
    Ok(Row {
        object,
        events: loaded.tail.next_revision(),
        migrations: loaded.document.generation(),
        stream: loaded.document.active.stream,
    })
}

type Rows<'a, T> = futures::stream::BoxStream<'a, Result<T>>;

async fn print_names(session: &Session, mut names: Rows<'_, ObjectId>) -> Result<Exit> {
    let output = session.output();
    while let Some(object) = names.try_next().await? {
        session.interrupt().check()?;
        if output.is_json() {
            output.json_line(&serde_json::json!({ "object": object }))?;
        } else {
            output.text(object.to_string())?;
        }
    }
    Ok(Exit::Success)
}

async fn print_rows(session: &Session, rows: Rows<'_, Row>) -> Result<Exit> {
    let mut any = false;
    let mut chunks = rows.try_chunks(ROWS);
    while let Some(chunk) = chunks.next().await {
        session.interrupt().check()?;
        let (rows, error) = match chunk {
            Ok(rows) => (rows, None),
            Err(stopped) => (stopped.0, Some(stopped.1)),
        };
        print_chunk(session, &rows, !any)?;
        any = any || !rows.is_empty();
        if let Some(error) = error {
            return Err(error);
        }
    }
    if !any {
        session.output().note("no matching objects");
    }
    Ok(Exit::Success)
}

fn print_chunk(session: &Session, rows: &[Row], first: bool) -> Result<()> {
    let output = session.output();
    if output.is_json() {
        return rows.iter().try_for_each(|row| output.json_line(row));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["object", "events", "migrations", "active stream"]);
    for row in rows {
        table.row([
            row.object.to_string(),
            output.number(row.events.0, count),
            row.migrations.to_string(),
            row.stream.to_string(),
        ]);
    }
    output.table(&table, first)
}
