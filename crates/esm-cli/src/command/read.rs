//! `esm read`

use esm_core::Result;
use esm_core::event::Revision;
use esm_core::id::ObjectId;
use esm_format::ndjson::{LineWriter, Packing};

use crate::args;
use crate::exit::Exit;
use crate::objects;
use crate::output::{Table, shortened};
use crate::session::Session;
use crate::stream::{Events, Numbered, line};

/// Read an object's events.
///
/// For people a table with the beginning of each payload; with `--output json` each event as a
/// line of CloudEvents JSON, complete.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm read order/123
  esm read order/123 --from 100 --limit 20
  esm read order/123 --output json | jq .data")]
pub(crate) struct Read {
    /// The object, name/key.
    #[arg(value_parser = args::object)]
    object: ObjectId,
    /// The first revision to read.
    #[arg(long, value_name = "REVISION", default_value_t = 0)]
    from: u64,
    /// At most this many events.
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,
}

/// How much of a payload a table shows, in characters.
const SHOWN: usize = 60;

impl Read {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let document = session.documents().load(&self.object).await?.document;
        let active = objects::active(session, &document).await?;
        let mut events = Events::of(session, active.stream, Revision(self.from));
        let mut left = self.limit.unwrap_or(u64::MAX);
        let mut first = true;
        while left > 0
            && let Some(mut page) = events.next_page().await?
        {
            session.interrupt().check()?;
            page.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= page.len() as u64;
            self.print(session, &page, first).await?;
            first = false;
        }
        if first {
            session.output().note("no events");
        }
        Ok(Exit::Success)
    }

    async fn print(&self, session: &Session, page: &[Numbered], first: bool) -> Result<()> {
        let output = session.output();
        if output.is_json() {
            let mut writer = LineWriter::new(tokio::io::stdout(), Packing::Plain);
            let mut buffer = Vec::new();
            for event in page {
                writer.write(line(&self.object, event, &mut buffer)).await?;
            }
            return writer.finish().await;
        }
        let mut table = Table::new(["revision", "type", "version", "time", "data"]);
        for (revision, event) in page {
            table.row([
                revision.to_string(),
                event.event_type.to_string(),
                event.schema_version.to_string(),
                event.time.clone().unwrap_or_default(),
                shortened(&String::from_utf8_lossy(&event.payload), SHOWN),
            ]);
        }
        output.table(&table, first)
    }
}
