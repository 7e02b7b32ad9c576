//! `esm read`

use esm_core::Result;
use esm_core::event::{Event, Position, Revision};
use esm_core::id::ObjectId;
use esm_core::router::ReadPosition;
use esm_format::ndjson::{LineWriter, Packing};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::args;
use crate::events::line;
use crate::exit::Exit;
use crate::output::{Output, Table, shortened, to_the_second, width_of};
use crate::session::Session;

/// Read an object's events.
///
/// Prints a table; on a terminal with the start of each payload, as much as fits. With --output json,
/// prints each event in full as a line of CloudEvents JSON.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm read order/123
  esm read order/123 --from 100 --limit 20
  esm read order/123 --output json | jq .data")]
pub(crate) struct Read {
    /// Object, as name/key.
    #[arg(value_parser = args::object)]
    object: ObjectId,
    /// First revision to read.
    #[arg(long, value_name = "REVISION", default_value_t = 0)]
    from: u64,
    /// Maximum number of events.
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,
}

/// The width of the other columns without the type: revision, version, a time to the second, gaps.
const OTHERS: usize = 43;
/// Characters of data that are shown at least.
const LEAST: usize = 16;
/// Maximum events printed at once.
const ROWS: usize = 1_000;

impl Read {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let reader = session.reader();
        let active = reader.load(&self.object).await?.document.active;
        let from = ReadPosition::At(Position {
            stream: active.stream,
            revision: Revision(self.from),
        });
        let limit = self.limit.unwrap_or(u64::MAX);
        // the events of a page are ready at once: they are printed before the next page is read
        let mut pages = reader
            .read(&self.object, from)
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map_ok(|recorded| recorded.event)
            .try_ready_chunks(ROWS);
        let mut next = Revision(self.from);
        while let Some(page) = pages.try_next().await.map_err(|stopped| stopped.1)? {
            session.interrupt().check()?;
            self.print(session.output(), next, &page).await?;
            next = next.plus(page.len() as u64);
        }
        if next.0 == self.from {
            session.output().note("no events");
        }
        Ok(Exit::Success)
    }

    async fn print(&self, output: &Output, first: Revision, page: &[Event]) -> Result<()> {
        let events = (first.0..).map(Revision).zip(page);
        if output.is_json() {
            let mut writer = LineWriter::new(output.stdout(), Packing::Plain);
            let mut buffer = Vec::new();
            for (revision, event) in events {
                let line = line(&self.object, revision, event, &mut buffer);
                writer.write(line).await?;
            }
            return writer.finish().await;
        }
        let shown = output.width().map(|width| room_for_data(width, page));
        let mut table = Table::new(["revision", "type", "version", "time", "data"]);
        for (revision, event) in events {
            let data = String::from_utf8_lossy(&event.payload);
            let time = event.time.clone().unwrap_or_default();
            let (time, data) = match shown {
                Some(room) => (without_fraction(time), shortened(&data, room)),
                None => (time, data.into_owned()),
            };
            table.row([
                revision.to_string(),
                event.event_type.to_string(),
                event.schema_version.to_string(),
                time,
                data,
            ]);
        }
        output.table(&table, first.0 == self.from)
    }
}

/// The characters of data that fit beside the types of these events.
fn room_for_data(width: usize, page: &[Event]) -> usize {
    let types = page.iter().map(|event| width_of(event.event_type.as_str()));
    // one for the ellipsis
    let others = OTHERS + types.max().unwrap_or(0) + 1;
    width.saturating_sub(others).max(LEAST)
}

/// A time to the second, where it is one.
fn without_fraction(time: String) -> String {
    match time.parse() {
        Ok(parsed) => to_the_second(parsed),
        Err(_) => time,
    }
}
