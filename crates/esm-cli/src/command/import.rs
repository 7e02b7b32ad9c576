//! `esm import`

use esm_core::id::ObjectName;
use esm_core::{ErrorKind, Result};
use serde::Serialize;

use crate::args::Global;
use crate::exit::Exit;
use crate::import::{Events, Reading, Tally, Writer};
use crate::input::Place;
use crate::interrupt::Interrupt;
use crate::output::{Facts, Output, Text, count};
use crate::progress::{Progress, Unit};
use crate::session::{Access, Session};

/// Import events: NDJSON of CloudEvents, plain, gzip or zstd.
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

A line:
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
    /// Create the store if there is none.
    #[arg(long)]
    create: bool,
    /// Only check the input; write nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Imported {
    /// Whether all of the input is in the store now.
    complete: bool,
    #[serde(flatten)]
    tally: Tally,
}

#[derive(Debug, Serialize)]
struct Validated {
    valid: bool,
    events: u64,
    objects: u64,
}

impl Import {
    pub(crate) async fn run(
        &self,
        global: Global,
        output: Output,
        interrupt: Interrupt,
    ) -> Result<Exit> {
        let place = Place::new(&self.file);
        let is_file = place.regular_size().await?.is_some();
        let reading = Reading {
            name: self.name.clone(),
            max_event_bytes: global.max_event_size.0,
            renumber: self.renumber,
        };
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
            return validated(&output, checked.unwrap_or_default());
        };
        let writer = Writer::new(&session, self.dry_run);
        let (tally, result) = writer.run(chunk, &mut events, checked).await;
        if self.dry_run {
            result?;
            return validated(&output, tally);
        }
        imported(&output, tally, result)
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

fn validated(output: &Output, tally: Tally) -> Result<Exit> {
    let validated = Validated {
        valid: true,
        events: tally.events,
        objects: tally.objects,
    };
    output.result(&validated, |validated, _| {
        format!(
            "valid: {} events of {} objects; nothing was written",
            count(validated.events),
            count(validated.objects)
        )
    })?;
    Ok(Exit::Success)
}

fn imported(output: &Output, tally: Tally, result: Result<()>) -> Result<Exit> {
    let imported = Imported {
        complete: result.is_ok(),
        tally,
    };
    output.result(&imported, text)?;
    if let Err(error) = result {
        if *error.kind() != ErrorKind::Cancelled {
            output.note("what was imported stays; repeat the command when this is mended");
        }
        return Err(error);
    }
    Ok(Exit::Success)
}

fn text(imported: &Imported, terminal: bool) -> Text {
    let Tally {
        events,
        objects,
        imported: new,
        present,
    } = imported.tally;
    if imported.complete && events == 0 {
        return "nothing to do: the input has no events".into();
    }
    if imported.complete && new == 0 {
        return format!(
            "nothing to do: all {} events of {} objects were there already",
            count(events),
            count(objects)
        )
        .into();
    }
    if imported.complete {
        let mut text = format!(
            "imported {} events of {} objects",
            count(new),
            count(objects)
        );
        if present > 0 {
            text.push_str(&format!("; {} were there already", count(present)));
        }
        return text.into();
    }
    let mut facts = Facts::new();
    facts
        .add("not finished: events read", count(events))
        .add("imported", count(new))
        .add("were there already", count(present));
    facts.to_text(terminal)
}
