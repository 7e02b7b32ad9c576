//! `esm show`

use esm_core::Result;
use esm_core::id::ObjectId;
use esm_core::object::ObjectDocument;
use esm_view::object::{ShownObject, StreamDepth};
use jiff::Timestamp;

use crate::args;
use crate::exit::Exit;
use crate::output::{Facts, Form, Table, Text, count, short_id, to_the_second};
use crate::session::Session;

/// Show an object: document, chain of streams, migration phase.
///
/// The chain is read from the streams; the output shows if the document is behind. Exits with 9 if
/// a stream lost events that the document or a Close counts. Streams that
/// accept events of retired schemas are read in full to count those events.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm show order/123
  esm show order/123 --output json | jq .streams")]
pub(crate) struct Show {
    /// Object, as name/key.
    #[arg(value_parser = args::object)]
    object: ObjectId,
}

impl Show {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let (reader, routing) = (session.reader(), session.routing());
        let shown = ShownObject::load(&reader, &routing, &self.object, StreamDepth::All).await?;
        session.output().result(&shown, text)?;
        Ok(if shown.is_damaged() {
            Exit::Corrupt
        } else {
            Exit::Success
        })
    }
}

/// When the object was created; nothing where the tables of another library have no time.
fn created(document: &ObjectDocument) -> Option<Timestamp> {
    Some(document.created_at).filter(|created| *created != Timestamp::UNIX_EPOCH)
}

fn text(shown: &ShownObject, form: Form) -> Text {
    let mut facts = Facts::new();
    facts
        .add("object", &shown.object)
        .add("events", count(shown.events.0))
        .add("phase", shown.phase)
        .add_some("created", created(&shown.document).map(to_the_second))
        .add("document", format!("version {}", shown.document_version));
    if shown.document_is_behind {
        facts.add(
            "note",
            "the document is behind the streams; the next append or migration updates it",
        );
    }
    let mut table = Table::new(["stream", "state", "events", "cells", "closed by"]);
    for stream in &shown.streams {
        table.row([
            stream.stream.stream.to_string(),
            stream.state.to_owned(),
            count(stream.events.0),
            count(stream.cells),
            stream
                .closed_by
                .map(|m| short_id(m, form))
                .unwrap_or_default(),
        ]);
    }
    let damage = shown.streams.iter().filter_map(|s| s.damage.as_ref());
    for damage in shown.document_damage.iter().chain(damage) {
        facts.add("damaged", damage);
    }
    for stream in &shown.streams {
        for (schema, events) in &stream.accepted_unchanged {
            let what = format!("{schema}: {} in {}", count(*events), stream.stream.stream);
            facts.add("accepted unchanged", what);
        }
    }
    let mut text = facts.to_text(form).and_section(table.to_text(form));
    for terminated in &shown.document.terminated {
        if let Some(archive) = &terminated.archive {
            text.push(format!(
                "archive of {}: {} in {} ({} events)",
                terminated.stream.stream, archive.id, archive.provider, archive.events
            ));
        }
    }
    text
}
