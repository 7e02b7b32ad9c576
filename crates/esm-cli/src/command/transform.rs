//! `esm transform`

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use esm_core::event::{Event, Revision};
use esm_core::id::{ObjectId, ObjectName};
use esm_core::transform::{EventCounts, EventSample, Mapper};
use esm_core::{Error, Result};
use esm_format::ndjson::{LineWriter, Packing};
use futures::TryStreamExt as _;

use crate::args::{self, Global};
use crate::events::{OpenedObject, line, open_all};
use crate::exit::Exit;
use crate::import::EachEvent;
use crate::input::Place;
use crate::interrupt::Interrupt;
use crate::migration::chosen_program;
use crate::output::{Output, count, counted};
use crate::progress::{Progress, Unit};
use crate::sample::sample_text;
use crate::selection::Selection;
use crate::session::{Access, Session};

/// Transform events and print them, without writing.
///
/// Prints the events as a migration would store them: NDJSON of CloudEvents, as `esm export`. With
/// --diff, prints each event that is changed, split or dropped before and after.
///
/// The events are those of objects of the store, or those of a file or of standard input, which need
/// no store. Ends with 7 at the first event that the program fails on.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "esm transform [OPTIONS] <FILE.jq> <OBJECT|FILE|->...\n       \
                            esm transform [OPTIONS] <FILE.jq> --name NAME | --all\n       \
                            esm transform [OPTIONS] --upcasters DIR <OBJECT|FILE|->..."
)]
#[command(after_help = "\
Examples:
  esm transform v2.jq order/123
  esm transform v2.jq order/123 --diff
  esm transform v2.jq --all | jq -r .type | sort | uniq -c
  esm transform v2.jq orders.ndjson --diff          # without a store
  esm transform --upcasters steps/ orders.ndjson
  zcat orders.ndjson.gz | esm transform v2.jq -")]
#[command(group(clap::ArgGroup::new("input").required(true).multiple(true)))]
pub(crate) struct Transform {
    /// jq program, as for `esm migrate --transform`. With --upcasters, the first of the events.
    #[arg(value_name = "FILE.jq", required_unless_present = "upcasters")]
    program: Option<String>,
    /// Objects, as name/key; or an existing file of NDJSON, plain, gzip or zstd; or `-` for standard
    /// input.
    #[arg(value_name = "OBJECT|FILE", group = "input")]
    inputs: Vec<String>,
    /// Directory of upcasters instead of the program, as for `esm migrate --upcasters`.
    #[arg(long, value_name = "DIR", group = "input")]
    upcasters: Option<PathBuf>,
    /// All objects of this name; with a file, the name of its objects, instead of the events'
    /// `source`.
    #[arg(long, value_name = "NAME", group = "input")]
    name: Option<ObjectName>,
    /// All objects of the store.
    #[arg(long, group = "input", conflicts_with_all = ["inputs", "name"])]
    all: bool,
    /// Print the difference of each event that does not stay as it is. With --output json, a document
    /// for each, with `before` and `after`.
    #[arg(long)]
    diff: bool,
}

impl Transform {
    pub(crate) async fn run(
        &self,
        global: Global,
        output: Output,
        interrupt: Interrupt,
    ) -> Result<Exit> {
        let arguments = self.arguments()?;
        let program = chosen_program(arguments.program, self.upcasters.as_deref()).await?;
        let program = program.ok_or_else(|| Error::invalid("no program to transform with"))?;
        let mapper = Mapper::new(program.compile(global.masking_key().await?.as_ref())?)
            .checking_determinism();
        let printer = if self.diff {
            Printer::Differences(output.clone())
        } else {
            Printer::Events(LineWriter::new(output.stdout(), Packing::Plain))
        };
        let mut run = Run {
            mapper,
            printer,
            interrupt: interrupt.clone(),
            counts: EventCounts::default(),
            buffer: Vec::new(),
        };
        let transformed = match arguments.place()? {
            Some(place) => run.file(&place, self.name.clone(), &global, &output).await,
            None => {
                let selection = self.selection(&arguments)?;
                let session = Session::open(global, output.clone(), interrupt, Access::Read);
                run.store(&session.await?, &selection).await
            }
        };
        // what was transformed before a failure is printed
        run.printer.finish().await?;
        transformed?;
        if self.diff {
            output.note(summary(&run.counts));
        }
        Ok(Exit::Success)
    }

    /// The arguments by what they are.
    ///
    /// # Errors
    /// `Invalid` without events to transform, and for events beside `--all`.
    fn arguments(&self) -> Result<Arguments<'_>> {
        let mut arguments = Arguments {
            program: None,
            inputs: Vec::new(),
        };
        let first = self.program.as_ref();
        if self.upcasters.is_some() {
            arguments.inputs.extend(first);
        } else {
            arguments.program = first.map(Path::new);
        }
        arguments.inputs.extend(&self.inputs);
        let some = !arguments.inputs.is_empty();
        if some && self.all {
            let message = format!(
                "--all and others cannot be used together: {}",
                arguments.inputs[0]
            );
            return Err(Error::invalid(message).with_hint("name objects, or all objects"));
        }
        if !some && !self.all && self.name.is_none() {
            return Err(Error::invalid("no events to transform")
                .with_hint("give an <OBJECT|FILE>, - for standard input, --name NAME or --all"));
        }
        Ok(arguments)
    }

    fn selection(&self, arguments: &Arguments<'_>) -> Result<Selection> {
        let object = |text: &&String| {
            args::object(text).map_err(|error| {
                Error::invalid(format!("neither a file nor an object: {text}: {error}"))
                    .with_hint("name an existing file, or an object as name/key")
            })
        };
        let objects = arguments.inputs.iter().map(object);
        let objects = objects.collect::<Result<Vec<_>>>()?;
        if !objects.is_empty() && self.name.is_some() {
            let error = Error::invalid("objects and --name cannot be used together");
            return Err(error.with_hint("name objects, or all objects of a name"));
        }
        Ok(Selection::new(objects, self.name.clone(), self.all))
    }
}

/// The arguments without a name: with --upcasters, all of them are inputs.
struct Arguments<'a> {
    program: Option<&'a Path>,
    inputs: Vec<&'a String>,
}

impl Arguments<'_> {
    /// The file to read instead of the store.
    fn place(&self) -> Result<Option<Place>> {
        let is_file = |text: &&&String| **text == "-" || Path::new(text).is_file();
        match (self.inputs.iter().find(is_file), self.inputs.as_slice()) {
            (None, _) => Ok(None),
            (Some(file), [_]) => Ok(Some(Place::new(file))),
            (Some(file), _) => Err(Error::invalid(format!(
                "a file is transformed alone, without objects or other files: {file}"
            ))
            .with_hint("join files before: cat FILE… | esm transform FILE.jq -")),
        }
    }
}

/// A run over events.
struct Run {
    mapper: Mapper,
    printer: Printer,
    interrupt: Interrupt,
    counts: EventCounts,
    buffer: Vec<u8>,
}

/// How events are printed.
enum Printer {
    Events(LineWriter),
    Differences(Output),
}

impl Run {
    async fn store(&mut self, session: &Session, selection: &Selection) -> Result<()> {
        let objects = selection.sorted(session).await?;
        let mut opened = open_all(session, objects);
        while let Some(OpenedObject { object, mut events }) = opened.try_next().await? {
            let (mut revision, mut next) = (Revision::START, Revision::START);
            while let Some(recorded) = events.try_next().await? {
                self.event(&object, revision, &recorded.event, &mut next)
                    .await?;
                revision = revision.plus(1);
            }
        }
        Ok(())
    }

    async fn file(
        &mut self,
        place: &Place,
        name: Option<ObjectName>,
        global: &Global,
        output: &Output,
    ) -> Result<()> {
        let mode = global.progress;
        let begin = |size| Progress::begin(mode, output, "transform", Unit::Bytes, size);
        let most = global.max_event_size.0;
        let mut input = EachEvent::open(place, name, most, begin).await?;
        // objects may alternate, and the outputs of each are numbered
        let mut next: HashMap<ObjectId, Revision> = HashMap::new();
        let stop = self.interrupt.clone();
        loop {
            // standard input may have nothing to read for long
            let record = tokio::select! {
                biased;
                () = stop.token().cancelled() => return stop.check(),
                record = input.next() => record?,
            };
            let Some(record) = record else {
                return Ok(());
            };
            for incoming in record.events {
                let object = incoming.object;
                let next = next.entry(object.clone()).or_default();
                let revision = Revision(incoming.sequence);
                self.event(&object, revision, &incoming.event, next)
                    .await
                    .map_err(|error| input.at(record.number, error))?;
            }
        }
    }

    /// Transforms an event and prints the result. `next` is the revision of the next output.
    async fn event(
        &mut self,
        object: &ObjectId,
        revision: Revision,
        event: &Event,
        next: &mut Revision,
    ) -> Result<()> {
        self.interrupt.check()?;
        let mapped = self.mapper.map(object, revision, event);
        match &mut self.printer {
            Printer::Differences(output) => {
                if let Some(sample) = EventSample::whole(object, revision, event, &mapped) {
                    print(output, &sample)?;
                }
            }
            Printer::Events(writer) => {
                for output in mapped.iter().flat_map(|mapped| &mapped.outputs) {
                    writer
                        .write(line(object, *next, output, &mut self.buffer))
                        .await?;
                    *next = next.plus(1);
                }
            }
        }
        let mapped = mapped.map_err(|failure| Error::from(failure).context(object))?;
        let bytes = event.approximate_size();
        self.counts.record(&event.schema(), bytes, &mapped);
        Ok(())
    }
}

impl Printer {
    async fn finish(self) -> Result<()> {
        match self {
            Self::Events(writer) => writer.finish().await,
            Self::Differences(_) => Ok(()),
        }
    }
}

fn print(output: &Output, sample: &EventSample) -> Result<()> {
    if output.is_json() {
        output.json_line(sample)
    } else {
        output.text(sample_text(sample).and(""))
    }
}

fn summary(counts: &EventCounts) -> String {
    let ledger = &counts.ledger;
    format!(
        "{}: {} unchanged, {} changed, {} split, {} dropped; nothing was written",
        counted(ledger.source, "event"),
        count(ledger.unchanged),
        count(ledger.changed),
        count(ledger.split),
        count(ledger.dropped())
    )
}
