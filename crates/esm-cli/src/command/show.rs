//! `esm show`

use std::collections::BTreeMap;

use esm_core::event::Revision;
use esm_core::id::{MigrationId, ObjectId, StreamRef};
use esm_core::migration::MigrationPhase;
use esm_core::object::chain;
use esm_core::object::{ChainEnd, KnownStream, ObjectDocument};
use esm_core::router::accepted_unchanged;
use esm_core::store::{Close, EventStoreExt as _, Origin, Tail};
use esm_core::{ErrorKind, Result};
use jiff::Timestamp;
use serde::Serialize;

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

#[derive(Debug, Serialize)]
struct ShownObject {
    object: ObjectId,
    events: Revision,
    phase: MigrationPhase,
    /// Whether the document names a stream that is no longer the active one.
    document_is_behind: bool,
    streams: Vec<ShownStream>,
    document_version: u64,
    /// Why streams before the newest are missing here.
    #[serde(skip_serializing_if = "Option::is_none")]
    document_damage: Option<String>,
    document: ObjectDocument,
}

#[derive(Debug, Serialize)]
struct ShownStream {
    stream: StreamRef,
    state: &'static str,
    events: Revision,
    cells: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_by: Option<MigrationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continues_at: Option<Revision>,
    /// What the stream lost, by what the document and the Close before it say.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
    /// Events of retired schemas that were stored unchanged, by schema.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    accepted_unchanged: BTreeMap<String, u64>,
}

impl Show {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let found = session.documents().load(&self.object).await?;
        let (document, document_damage) = whole(session, found.document).await?;
        let end = chain::follow_damaged(session.stores(), &document).await?;
        let streams = streams(session, &document, &end).await?;
        let generation = (document.generation() + end.closes.len()) as u64;
        let entry = session.routing().entry(&self.object, generation).await?;
        let is_damaged =
            document_damage.is_some() || streams.iter().any(|stream| stream.damage.is_some());
        let shown = ShownObject {
            object: self.object.clone(),
            events: end.tail.next_revision(),
            phase: entry.map(|e| e.phase).unwrap_or_default(),
            document_is_behind: end.stream != document.active,
            streams,
            document_version: found.version,
            document_damage,
            document,
        };
        session.output().result(&shown, text)?;
        Ok(if is_damaged {
            Exit::Corrupt
        } else {
            Exit::Success
        })
    }
}

/// The document with all its streams; as it is, and the damage, where a version of it that has
/// earlier ones is damaged.
async fn whole(
    session: &Session,
    document: ObjectDocument,
) -> Result<(ObjectDocument, Option<String>)> {
    match session.documents().whole(document.clone()).await {
        Ok(whole) => Ok((whole, None)),
        Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Gone) => {
            Ok((document, Some(e.to_string())))
        }
        Err(e) => Err(e),
    }
}

/// The streams that the document knows to be closed, then those from its active one on.
async fn streams(
    session: &Session,
    document: &ObjectDocument,
    end: &ChainEnd,
) -> Result<Vec<ShownStream>> {
    let closed = document.terminated.iter().map(|entry| &entry.stream);
    let followed = end.closes.iter().map(|(stream, _)| stream);
    let mut shown = Vec::new();
    let mut before: Option<Close> = None;
    for stream in closed.chain(followed).chain([&end.stream]) {
        let mut known = KnownStream::of(document, stream);
        if let Some(close) = before.filter(|close| close.target.as_ref() == Some(stream)) {
            known = known.continuing(&close);
        }
        let tail = session.stores().of(stream)?.tail(&stream.stream).await?;
        before = tail.close().cloned();
        shown.push(ShownStream::new(session, &known, &tail).await?);
    }
    Ok(shown)
}

impl ShownStream {
    async fn new(session: &Session, known: &KnownStream, tail: &Tail) -> Result<Self> {
        let stream = known.stream();
        let store = session.stores().of(stream)?;
        let damage = known.check(&**store, tail.into()).err();
        let accepted = accepted_unchanged(store, &stream.stream).await?.into_iter();
        let close = tail.close();
        Ok(Self {
            accepted_unchanged: accepted.map(|(s, n)| (s.to_string(), n)).collect(),
            stream: stream.clone(),
            state: match close {
                None if damage.is_some() => "damaged",
                None => "active",
                Some(Close { target: None, .. }) => "deleted",
                Some(_) => "closed",
            },
            events: tail.next_revision(),
            cells: tail.next_seq(),
            origin: store.origin(&stream.stream).await?,
            closed_by: close.map(|c| c.migration),
            continues_at: close.map(|c| c.target_events),
            damage: damage.map(|damage| damage.to_string()),
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
