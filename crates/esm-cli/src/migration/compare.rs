//! Source against target, long after the migration: invariant I4.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use esm_core::RollingHash;
use esm_core::event::{Event, Revision};
use esm_core::id::{MigrationId, ObjectId, StreamRef};
use esm_core::migration::MigrationService;
use esm_core::object::{ObjectDocument, TerminatedStream, TerminationReason};
use esm_core::transform::Mapper;
use esm_core::{Error, ErrorKind, Result};
use serde::Serialize;
use tokio::sync::Mutex;

use super::program::{Program, transformer};
use crate::difference::difference;
use crate::session::Session;
use crate::stream::{Events, Numbered};

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
    known: Mutex<HashMap<MigrationId, Transformation>>,
}

/// What a migration did to events.
#[derive(Debug, Clone)]
struct Transformation {
    mapper: Mapper,
    /// The migration that it reversed: then the originals come first, and stay as they are.
    reverses: Option<MigrationId>,
}

impl Mappers {
    /// The transformations that this service's journals name.
    pub(crate) fn new(service: MigrationService) -> Self {
        Self {
            service,
            known: Mutex::default(),
        }
    }

    async fn of(&self, migration: MigrationId) -> Result<Transformation> {
        let mut known = self.known.lock().await;
        if let Some(transformation) = known.get(&migration) {
            return Ok(transformation.clone());
        }
        let state = self.service.status(migration).await?;
        let plan = state
            .plan
            .ok_or_else(|| Error::corrupt(format!("journal has no plan, migration {migration}")))?;
        let program = Program::of_annotations(&plan.annotations);
        let transformer = transformer(program.as_ref())?;
        let reverses = plan.reverses.as_ref();
        let planned = reverses.map_or(&plan.fingerprint, |reverses| &reverses.down);
        if transformer.fingerprint() != *planned {
            return Err(Error::unsupported(format!(
                "the transformation of migration {migration} is not a jq program of its plan"
            ))
            .with_hint("verify it with the program that migrated it"));
        }
        let transformation = Transformation {
            mapper: Mapper::new(Arc::clone(&transformer)),
            reverses: reverses.map(|reverses| reverses.migration),
        };
        known.insert(migration, transformation.clone());
        Ok(transformation)
    }
}

/// Transforms an object's closed stream once more and compares it with what its last migration
/// (or the one that is asked for) wrote; nothing where there was none.
///
/// # Errors
/// `VerificationFailed`, naming the first revision that differs and in what.
pub(crate) async fn compare(
    session: &Session,
    mappers: &Mappers,
    document: &ObjectDocument,
    migration: Option<MigrationId>,
) -> Result<Option<Compared>> {
    let wanted = |t: &&TerminatedStream| {
        t.reason == TerminationReason::Migrated && migration.is_none_or(|m| m == t.migration)
    };
    let Some(closed) = document.terminated.iter().rev().find(wanted) else {
        return Ok(None);
    };
    let Transformation { mapper, reverses } = mappers.of(closed.migration).await?;
    let mut comparison = Comparison::new(session, &document.object, closed);
    if let Some(reversed) = reverses {
        comparison.originals(session, document, reversed).await?;
    }
    while let Some((revision, event)) = comparison.source.next(closed.events).await? {
        session.interrupt().check()?;
        let mapped = mapper
            .map_owned(&document.object, revision, event)
            .map_err(|failure| Error::from(failure).context(&document.object))?;
        for expected in mapped.outputs {
            comparison.expect(revision, &expected).await?;
        }
    }
    comparison.ended().await?;
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

struct Comparison<'a> {
    object: &'a ObjectId,
    closed: &'a TerminatedStream,
    source: Reader<'a>,
    target: Reader<'a>,
    hash: RollingHash,
}

impl<'a> Comparison<'a> {
    fn new(session: &'a Session, object: &'a ObjectId, closed: &'a TerminatedStream) -> Self {
        let reader = |stream| Reader::start(session, stream, Revision::START);
        Self {
            object,
            closed,
            source: reader(&closed.stream),
            target: reader(&closed.continuation),
            hash: RollingHash::new(),
        }
    }

    /// R18: the target begins with the originals as they were, and goes on with what came to the
    /// source after those.
    async fn originals(
        &mut self,
        session: &'a Session,
        document: &ObjectDocument,
        reversed: MigrationId,
    ) -> Result<()> {
        let mut entries = document.terminated.iter();
        let restored = entries.find(|t| t.migration == reversed).ok_or_else(|| {
            Error::corrupt(format!(
                "{} was rolled back from migration {reversed}, which its document does not name",
                self.object
            ))
        })?;
        let mut originals = Reader::start(session, &restored.stream, Revision::START);
        while let Some((revision, event)) = originals.next(restored.events).await? {
            session.interrupt().check()?;
            self.expect(revision, &event).await?;
        }
        let since = restored.continuation_events;
        self.source = Reader::start(session, &self.closed.stream, since);
        Ok(())
    }

    async fn expect(&mut self, source: Revision, expected: &Event) -> Result<()> {
        let found = self.target.next(self.closed.continuation_events).await?;
        let Some((revision, found)) = found else {
            return Err(self.differs(format!(
                "the target ends before the image of source revision {source}"
            )));
        };
        self.hash.add(&found);
        match difference(&found, expected, ["found", "expected"]) {
            None => Ok(()),
            Some(what) => Err(self.differs(format!(
                "target revision {revision}, from source revision {source}: {what}"
            ))),
        }
    }

    async fn ended(&mut self) -> Result<()> {
        match self.target.next(self.closed.continuation_events).await? {
            None => Ok(()),
            Some((revision, _)) => Err(self.differs(format!(
                "target revision {revision} stems from no source event"
            ))),
        }
    }

    fn differs(&self, what: String) -> Error {
        Error::new(
            ErrorKind::VerificationFailed,
            format!(
                "target differs from its transformed source: {}: {what}",
                self.object
            ),
        )
    }
}

/// Events one by one, up to a count.
#[derive(Debug)]
struct Reader<'a> {
    events: Events<'a>,
    page: VecDeque<Numbered>,
}

impl<'a> Reader<'a> {
    fn start(session: &'a Session, stream: &StreamRef, from: Revision) -> Self {
        Self {
            events: Events::of(session, stream.clone(), from),
            page: VecDeque::new(),
        }
    }

    async fn next(&mut self, count: Revision) -> Result<Option<Numbered>> {
        if self.page.is_empty() {
            match self.events.next_page().await? {
                Some(page) => self.page = page.into(),
                None => return Ok(None),
            }
        }
        // what follows was appended after the cutover, or stands in the next stream
        match self.page.front() {
            Some((revision, _)) if *revision < count => Ok(self.page.pop_front()),
            _ => Ok(None),
        }
    }
}
