//! Verification of a completed migration: the target against its source, transformed again
//! (invariant I4).

use std::collections::HashMap;

use esm_core::event::{Event, Position, Revision};
use esm_core::id::{MigrationId, ObjectId, StreamRef};
use esm_core::migration::MigrationService;
use esm_core::object::{ObjectDocument, TerminatedStream, TerminationReason, chain};
use esm_core::router::{ObjectReader, ReadPosition, RecordedEvent};
use esm_core::transform::{Mapper, MaskingKey};
use esm_core::{Error, ErrorKind, Result};
use esm_core::{RollingHash, difference};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use tokio::sync::Mutex;

use super::transformation;
use crate::interrupt::Interrupt;
use crate::session::Session;

/// A target that equals its transformed source.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Compared {
    pub(crate) object: ObjectId,
    pub(crate) migration: MigrationId,
    pub(crate) source: StreamRef,
    pub(crate) target: StreamRef,
    pub(crate) source_events: Revision,
    pub(crate) target_events: Revision,
    pub(crate) hash: RollingHash,
}

/// The transformations of migrations, each read and compiled once.
#[derive(Debug)]
pub(crate) struct Mappers {
    service: MigrationService,
    masking_key: Option<MaskingKey>,
    known: Mutex<HashMap<MigrationId, Transformation>>,
}

/// How a migration transformed events.
#[derive(Debug, Clone)]
struct Transformation {
    mapper: Mapper,
    /// The migration that it reversed. If any, the target begins with the unchanged originals.
    reverses: Option<MigrationId>,
}

impl Mappers {
    /// Reads the transformations from the service's journals.
    pub(crate) fn new(service: MigrationService, masking_key: Option<&MaskingKey>) -> Self {
        Self {
            service,
            masking_key: masking_key.cloned(),
            known: Mutex::default(),
        }
    }

    async fn of(&self, migration: MigrationId) -> Result<Transformation> {
        let mut known = self.known.lock().await;
        if let Some(transformation) = known.get(&migration) {
            return Ok(transformation.clone());
        }
        let transformation = self.load(migration).await?;
        known.insert(migration, transformation.clone());
        Ok(transformation)
    }

    async fn load(&self, migration: MigrationId) -> Result<Transformation> {
        let state = self
            .service
            .status(migration)
            .await
            .map_err(|e| missing(e, migration))?;
        let plan = state
            .plan
            .ok_or_else(|| Error::corrupt(format!("journal has no plan, migration {migration}")))?;
        let transformer = transformation(&plan.annotations, self.masking_key.as_ref())?;
        let reverses = plan.reverses.as_ref();
        let planned = reverses.map_or(&plan.fingerprint, |reverses| &reverses.down);
        if transformer.fingerprint() != *planned {
            return Err(Error::unsupported(format!(
                "the transformation is no program of the plan, migration {migration}"
            ))
            .with_hint("verify it with the program that migrated"));
        }
        Ok(Transformation {
            mapper: Mapper::new(transformer),
            reverses: reverses.map(|reverses| reverses.migration),
        })
    }
}

/// A document names the migration, so its journal was there.
fn missing(error: Error, migration: MigrationId) -> Error {
    if *error.kind() != ErrorKind::NotFound {
        return error;
    }
    let message = format!("journal of a migration that a document names is missing: {migration}");
    Error::corrupt(message).with_source(error).with_hint(
        "put the journal back from a copy of the storage; no event is missing without it",
    )
}

/// Compares the target of an object's last migration (or of the given one) with its source,
/// transformed again. Returns `None` if the object was not migrated.
///
/// # Errors
/// `VerificationFailed`, with the first revision that differs, and how; `Gone` for a stream that has
/// less than the document or a Close says; `Corrupt` where those two contradict each other; both
/// also for a version of the document that has earlier streams.
pub(crate) async fn compare(
    session: &Session,
    mappers: &Mappers,
    document: &ObjectDocument,
    migration: Option<MigrationId>,
) -> Result<Option<Compared>> {
    let document = &session.documents().whole(document.clone()).await?;
    let wanted = |t: &&TerminatedStream| {
        t.reason == TerminationReason::Migrated && migration.is_none_or(|m| m == t.migration)
    };
    let Some(closed) = document.terminated.iter().rev().find(wanted) else {
        return Ok(None);
    };
    require_streams(session, document, closed).await?;
    let Transformation { mapper, reverses } = mappers.of(closed.migration).await?;
    let streams = Streams {
        reader: session.reader(),
        object: &document.object,
    };
    let mut comparison = Comparison::new(&streams, closed, session.interrupt());
    let from = match reverses {
        Some(reversed) => {
            let restored = restored(document, reversed)?;
            comparison.originals(&streams, restored).await?;
            restored.continuation_events
        }
        None => Revision::START,
    };
    comparison.source(&streams, from, &mapper).await?;
    comparison.end().await?;
    Ok(Some(Compared {
        object: document.object.clone(),
        migration: closed.migration,
        source: closed.stream.clone(),
        target: closed.continuation.clone(),
        source_events: closed.events,
        target_events: closed.continuation_events,
        hash: comparison.hash,
    }))
}

/// Checks that the streams from the closed one on have what is known of them, and that its Close says
/// the same as the document.
async fn require_streams(
    session: &Session,
    document: &ObjectDocument,
    closed: &TerminatedStream,
) -> Result<()> {
    let end = chain::follow_from(session.stores(), document, closed.stream.clone()).await?;
    let close = end.closes.first().map(|(_, close)| close);
    let agrees = close.is_some_and(|close| {
        close.migration == closed.migration
            && close.events == closed.events
            && close.target.as_ref() == Some(&closed.continuation)
            && close.target_events == closed.continuation_events
    });
    if agrees {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "the document of {} contradicts the Close of {}",
        document.object, closed.stream
    )))
}

/// The closed stream whose originals a rollback of this migration restored.
fn restored(document: &ObjectDocument, reversed: MigrationId) -> Result<&TerminatedStream> {
    document.closed_by(reversed).ok_or_else(|| {
        Error::corrupt(format!(
            "document does not name the migration that was rolled back: {}, {reversed}",
            document.object
        ))
    })
}

/// The streams of one object.
struct Streams<'a> {
    reader: ObjectReader,
    object: &'a ObjectId,
}

type Events = BoxStream<'static, Result<RecordedEvent>>;

impl Streams<'_> {
    /// The events of one stream from one revision up to another, exclusively.
    fn events(&self, stream: &StreamRef, from: Revision, to: Revision) -> Events {
        let stream = stream.stream.clone();
        let position = Position {
            stream: stream.clone(),
            revision: from,
        };
        let count = to.0.saturating_sub(from.0);
        self.reader
            .read(self.object, ReadPosition::At(position))
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            // the reader continues in the next stream if this one is shorter
            .try_take_while(move |event| std::future::ready(Ok(event.position.stream == stream)))
            .boxed()
    }
}

struct Comparison<'a> {
    object: &'a ObjectId,
    closed: &'a TerminatedStream,
    interrupt: &'a Interrupt,
    target: Events,
    hash: RollingHash,
}

impl<'a> Comparison<'a> {
    fn new(streams: &Streams<'a>, closed: &'a TerminatedStream, interrupt: &'a Interrupt) -> Self {
        let to = closed.continuation_events;
        Self {
            object: streams.object,
            closed,
            interrupt,
            target: streams.events(&closed.continuation, Revision::START, to),
            hash: RollingHash::new(),
        }
    }

    /// R18: the target begins with the unchanged originals, followed by what was appended to the
    /// source since.
    async fn originals(&mut self, streams: &Streams<'a>, from: &TerminatedStream) -> Result<()> {
        let mut originals = streams.events(&from.stream, Revision::START, from.events);
        while let Some(original) = originals.try_next().await? {
            self.interrupt.check()?;
            self.expect(original.position.revision, &original.event)
                .await?;
        }
        Ok(())
    }

    async fn source(
        &mut self,
        streams: &Streams<'a>,
        from: Revision,
        mapper: &Mapper,
    ) -> Result<()> {
        let mut next = from;
        let mut source = streams.events(&self.closed.stream, from, self.closed.events);
        while let Some(RecordedEvent { position, event }) = source.try_next().await? {
            self.interrupt.check()?;
            let revision = position.revision;
            let mapped = mapper
                .map_owned(self.object, revision, event)
                .map_err(|failure| Error::from(failure).context(self.object))?;
            for expected in &mapped.outputs {
                self.expect(revision, expected).await?;
            }
            next = revision.plus(1);
        }
        if next != self.closed.events {
            let end = self.closed.events;
            return Err(self.differs(&format!("the source ends at revision {next}, not {end}")));
        }
        Ok(())
    }

    async fn expect(&mut self, source: Revision, expected: &Event) -> Result<()> {
        let Some(found) = self.target.try_next().await? else {
            return Err(self.differs(&format!("the target ends before source revision {source}")));
        };
        self.hash.add(&found.event);
        match difference(expected, &found.event) {
            None => Ok(()),
            Some(what) => Err(self.differs(&format!(
                "target revision {}, source revision {source}: {what}",
                found.position.revision
            ))),
        }
    }

    async fn end(&mut self) -> Result<()> {
        match self.target.try_next().await? {
            None => Ok(()),
            Some(found) => Err(self.differs(&format!(
                "target revision {} has no source event",
                found.position.revision
            ))),
        }
    }

    fn differs(&self, what: &str) -> Error {
        let message = format!(
            "target differs from its transformed source: {}: {what}",
            self.object
        );
        Error::new(ErrorKind::VerificationFailed, message)
    }
}
