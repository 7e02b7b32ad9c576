//! `esm import`

use esm_core::id::ObjectName;
use esm_core::router::ObjectClient;
use esm_core::{ErrorKind, Result};
use serde::Serialize;

use crate::args::Global;
use crate::exit::Exit;
use crate::import::{Checked, Engine, Reading, Tally, validate};
use crate::input::{Input, Place};
use crate::interrupt::Interrupt;
use crate::output::{Facts, Output, count};
use crate::progress::{Progress, Unit};
use crate::session::{Access, Session};

/// Import events: NDJSON of CloudEvents, plain, gzip or zstd.
///
/// `source` and `subject` name an event's object, `sequence` is its place in it, from 0 without
/// gaps. What is there already is compared and skipped, so that an import can be run again at any
/// time: after it was interrupted, with a longer file, and also after the objects were migrated.
///
/// A file is read twice: only when every line of it is right, anything is written. Standard input
/// is imported as it comes; an error in it leaves what came before.
///
/// The store is created if there is none in a local directory; elsewhere add --create.
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
        let again = place.regular_size().await?.is_some();
        let reading = Reading {
            name: self.name.clone(),
            max_event_bytes: global.max_event_size.0,
        };
        if self.dry_run {
            return self
                .only_check(&global, &output, &interrupt, &place, &reading)
                .await;
        }
        let access = match self.create || Session::is_local(&global) {
            true => Access::Create,
            false => Access::Write,
        };
        if again {
            // before a store is created for an input that is wrong
            let session = Session::open_if_there(&global, &output, &interrupt).await?;
            check(
                session.as_ref(),
                &global,
                &output,
                &interrupt,
                &place,
                &reading,
            )
            .await
            .inspect_err(|_| output.note("nothing was imported"))?;
        }
        let session = Session::open(global, output, interrupt, access).await?;
        import(&session, &place, reading).await
    }

    async fn only_check(
        &self,
        global: &Global,
        output: &Output,
        interrupt: &Interrupt,
        place: &Place,
        reading: &Reading,
    ) -> Result<Exit> {
        let session = match global.store {
            Some(_) => Session::open_if_there(global, output, interrupt).await?,
            None => None,
        };
        let checked = check(session.as_ref(), global, output, interrupt, place, reading).await?;
        let validated = Validated {
            valid: true,
            events: checked.events,
            objects: checked.objects,
        };
        output.result(&validated, |v, _| {
            format!(
                "valid: {} events of {} objects; nothing was written",
                count(v.events),
                count(v.objects)
            )
        })?;
        Ok(Exit::Success)
    }
}

async fn check(
    session: Option<&Session>,
    global: &Global,
    output: &Output,
    interrupt: &Interrupt,
    place: &Place,
    reading: &Reading,
) -> Result<Checked> {
    let begin = |size| Progress::begin(global.progress, output, "check", Unit::Bytes, size);
    let mut input = Input::open(place, reading.max_event_bytes, begin).await?;
    let client = session.map(Session::client);
    let reader = client.as_ref().map(ObjectClient::reader);
    let checked = validate(&mut input, reading, reader, &|| interrupt.check()).await;
    input.end();
    checked
}

async fn import(session: &Session, place: &Place, reading: Reading) -> Result<Exit> {
    let begin = |size| session.progress("import", Unit::Bytes, size);
    let mut input = Input::open(place, reading.max_event_bytes, begin).await?;
    let engine = Engine::new(session, reading);
    let (tally, result) = engine.run(&mut input).await;
    input.end();
    let imported = Imported {
        complete: result.is_ok(),
        tally,
    };
    session.output().result(&imported, text)?;
    match result {
        Ok(()) => Ok(Exit::Success),
        Err(error) => {
            if *error.kind() != ErrorKind::Cancelled {
                session.output().note(
                    "what was imported stays; run the same command again when this is mended",
                );
            }
            Err(error)
        }
    }
}

fn text(imported: &Imported, terminal: bool) -> String {
    let Tally {
        events,
        objects,
        imported: new,
        present,
    } = imported.tally;
    if imported.complete && new == 0 {
        return format!(
            "nothing to do: all {} events of {} objects were there already",
            count(events),
            count(objects)
        );
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
        return text;
    }
    let mut facts = Facts::new();
    facts
        .add("not finished: events read", count(events))
        .add("imported", count(new))
        .add("were there already", count(present));
    facts.to_text(terminal)
}
