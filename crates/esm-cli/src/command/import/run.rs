//! `esm import`: its arguments, and what is opened, checked and written when.

use std::sync::Arc;

use esm_core::Result;
use esm_core::id::ObjectName;

use super::{maps, report};
use crate::args::Global;
use crate::exit::Exit;
use crate::import::{Events, Format, Numbering, Reading, RecordMap, Writer, delimiter};
use crate::input::Place;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::progress::{Progress, Unit};
use crate::session::{Access, Session};

/// Import events: CloudEvents, or any JSON or CSV with a map.
///
/// Files are plain, gzip or zstd. With --map a jq program makes events of rows of CSV, lines of JSON
/// or the elements of a JSON array; docs/importing.md has examples for the usual event stores.
///
/// `source` and `subject` name an event's object, `sequence` is its place in it, from 0 without
/// gaps. Ids are unique in their object. Events that the store has already are compared and skipped,
/// so an import can be repeated at any time: after an interruption, with a longer file, and after the
/// objects were migrated.
///
/// A file is checked first: nothing is written unless every line is valid. Standard input beyond
/// a few MiB is imported while it is read; an error in it leaves the events before it.
///
/// A store in a local directory is created if there is none; elsewhere add --create.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm import orders.ndjson
  esm import orders.ndjson.gz --dry-run
  zstdcat orders.ndjson.zst | esm import -
  esm import events.ndjson --name order     # where `source` is a URI
  esm import --map message-db messages.csv
  esm import --map mine.jq --number rows.json
  esm import --list-maps
  esm import --show-map marten > mine.jq    # to change it

A line without --map:
  {\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"order\",\"subject\":\"123\",\"sequence\":\"0\",
   \"type\":\"OrderPlaced\",\"schemaversion\":1,\"data\":{\"total\":12}}")]
pub(crate) struct Import {
    /// The file; `-` is standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    file: String,
    /// The name of the objects, instead of the events' `source`.
    #[arg(long, value_name = "NAME")]
    name: Option<ObjectName>,
    /// Number the events of each object from 0, in the order of the input, instead of by their
    /// `sequence`: for objects that begin elsewhere, or have gaps. The original number is kept as
    /// `originalsequence`.
    #[arg(long)]
    renumber: bool,
    /// Number the events of each object from 0, in the order of the input, which has no numbers.
    #[arg(long, conflicts_with = "renumber")]
    number: bool,
    /// Make events of the input's records with a jq program: a file, or the name of a built-in map
    /// (see --list-maps).
    #[arg(long, value_name = "FILE.jq|NAME", help_heading = "Maps")]
    map: Option<String>,
    /// What the input's records are, with --map.
    #[arg(
        long,
        value_enum,
        default_value_t,
        requires = "map",
        help_heading = "Maps"
    )]
    format: Format,
    /// The delimiter of CSV: one character, or tab.
    #[arg(long, value_name = "CHAR", default_value = ",", value_parser = delimiter)]
    #[arg(requires = "map", help_heading = "Maps")]
    delimiter: u8,
    /// List the built-in maps.
    #[arg(long, conflicts_with_all = ["map", "show_map"], help_heading = "Maps")]
    list_maps: bool,
    /// Print a built-in map.
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "map",
        help_heading = "Maps"
    )]
    show_map: Option<String>,
    /// Create the store if there is none.
    #[arg(long)]
    create: bool,
    /// Only check the input; write nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub(crate) async fn run(
        &self,
        global: Global,
        output: Output,
        interrupt: Interrupt,
    ) -> Result<Exit> {
        if self.list_maps {
            return maps::list(&output);
        }
        if let Some(name) = &self.show_map {
            return maps::show(&output, name);
        }
        let place = Place::new(&self.file);
        let is_file = place.regular_size().await?.is_some();
        let reading = self.reading(&global).await?;
        let (progress, shown) = (global.progress, &output);
        let open = |what| {
            let begin = move |size| Progress::begin(progress, shown, what, Unit::Bytes, size);
            Events::open(&place, reading.clone(), interrupt.clone(), begin)
        };
        // read only: no store is created for an input that is wrong
        let there = match global.store {
            None if self.dry_run => None,
            _ => Session::open_if_there(&global, &output, &interrupt).await?,
        };
        let mut events = open("check").await?;
        let mut chunk = events.chunk().await;
        let fits = chunk.end.is_some();
        let only_check = self.dry_run && there.is_none();
        let mut checked = None;
        if fits || is_file || only_check {
            let reader = there
                .as_ref()
                .map(|session| session.client().reader().clone());
            let result = events.check(&mut chunk, reader.as_ref()).await;
            checked = Some(result.inspect_err(|_| output.note("nothing was imported"))?);
        }
        if is_file && !fits && !only_check {
            events = open("import").await?.already_checked();
            chunk = events.chunk().await;
        }
        let session = match there.filter(|_| self.dry_run) {
            Some(there) => Some(there),
            None if only_check => None,
            None => Some(self.open(&global, &output, &interrupt).await?),
        };
        let Some(session) = session else {
            return report::validated(&output, checked.unwrap_or_default());
        };
        let writer = Writer::new(&session, self.dry_run);
        let (tally, result) = writer.run(chunk, &mut events, checked).await;
        if self.dry_run {
            result?;
            return report::validated(&output, tally);
        }
        report::imported(&output, tally, result)
    }

    async fn reading(&self, global: &Global) -> Result<Reading> {
        let map = match &self.map {
            Some(name) => Some(Arc::new(RecordMap::open(name).await?)),
            None => None,
        };
        Ok(Reading {
            name: self.name.clone(),
            max_event_bytes: global.max_event_size.0,
            numbering: match (self.renumber, self.number) {
                (true, _) => Numbering::Renumber,
                (false, true) => Numbering::Number,
                (false, false) => Numbering::Given,
            },
            map,
            format: self.format,
            delimiter: self.delimiter,
        })
    }

    async fn open(
        &self,
        global: &Global,
        output: &Output,
        interrupt: &Interrupt,
    ) -> Result<Session> {
        let access = if self.create || Session::is_local(global) {
            Access::Create
        } else {
            Access::Write
        };
        Session::open(global.clone(), output.clone(), interrupt.clone(), access).await
    }
}
