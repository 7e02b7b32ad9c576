//! Where a section is restored: the stream whose place is taken, and the fresh one.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::warn;

use crate::backup::BackupService;
use crate::backup::restore::request::{RestoreOptions, RestoreTarget, RestoreUntil};
use crate::cutover::attempt::{Attempt, Route, Sight};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Schema;
use crate::id::{Fingerprint, MigrationId, ObjectId, StreamId, StreamRef};
use crate::object::{ObjectDocument, TerminatedStream, chain};
use crate::protocol::plan::generation_name;
use crate::store::{BackupManifest, BackupSection, EventStoreExt as _, Origin, Stores, Tail};

/// Identity of a restore: of this backup's section, up to this point, in the place of this stream.
/// Derived, so that whoever does the same again resumes it. A name may be used again for another backup
/// after a deletion, hence the checksum.
fn restore_id(
    manifest: &BackupManifest,
    section: &BackupSection,
    until: Option<RestoreUntil>,
    source: &StreamRef,
) -> MigrationId {
    let mut hash = blake3::Hasher::new_derive_key("esm restore id v1");
    let object = section.object.to_string();
    let until = match until {
        None => Vec::new(),
        Some(RestoreUntil::Revision(last)) => [&b"r"[..], &last.0.to_le_bytes()].concat(),
        Some(RestoreUntil::Time(time)) => [&b"t"[..], &time.as_nanosecond().to_le_bytes()].concat(),
    };
    let fields = [
        manifest.id.as_str().as_bytes(),
        manifest.checksums.stored_blake3.as_bytes(),
        object.as_bytes(),
        section.stream.store.as_uuid().as_bytes(),
        section.stream.stream.as_str().as_bytes(),
        source.store.as_uuid().as_bytes(),
        source.stream.as_str().as_bytes(),
    ];
    // a restore of everything has the identity that it had before there were points
    let until = (!until.is_empty()).then_some(&until[..]);
    for field in fields.into_iter().chain(until) {
        hash.update(&(field.len() as u64).to_le_bytes());
        hash.update(field);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    MigrationId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// The fingerprint of a restored stream: never equal to that of a transformation, so a migration of the
/// object does not take it for done.
pub(super) fn fingerprint(manifest: &BackupManifest) -> Result<Fingerprint> {
    Fingerprint::new(format!("{}{}", Origin::RESTORED, manifest.id))
}

/// Where a section is restored.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The object that gets the events, S and T.
    pub(super) attempt: Attempt,
    /// Whether the object is to be made.
    pub(super) creates: bool,
    /// Where S ended when it was looked up.
    pub(super) source_tail: Tail,
}

/// A stream whose place a restore has taken.
#[derive(Debug, Clone)]
pub(super) struct Replaced {
    /// The object that has the events.
    pub(super) object: ObjectId,
    /// S.
    pub(super) source: StreamRef,
    pub(super) restore: MigrationId,
}

/// What was found where a section is to be restored.
#[derive(Debug)]
pub(super) enum Found {
    /// Everything or a part is left to do, the Close too.
    Begin(Box<Place>),
    /// S was closed to a stream of this restore. The document may be left to do.
    Cut(Replaced),
}

impl Place {
    /// Finds out where a section is to be restored. Writes nothing.
    ///
    /// # Errors
    /// `AlreadyExists` for a new object that exists, or whose stream does; `NotFound` and `Deleted`
    /// for a fresh stream of an object that does not exist; `Unsupported` for a store that cannot
    /// close streams while they are written to; those of following a chain.
    pub(super) async fn find(
        service: &BackupService,
        manifest: &BackupManifest,
        section: &BackupSection,
        target: &RestoreTarget,
        options: &RestoreOptions,
    ) -> Result<Found> {
        match target {
            RestoreTarget::NewObject(object) => {
                new_object(service, manifest, section, object, options.until).await
            }
            RestoreTarget::FreshStream => fresh_stream(service, manifest, section, options).await,
        }
    }

    /// S, once its place was taken.
    pub(super) fn replaced(&self) -> Replaced {
        Replaced {
            object: self.attempt.object.clone(),
            source: self.attempt.source.clone(),
            restore: self.attempt.migration,
        }
    }

    /// What T shows, and S showed when it was looked up. If S has changed since, a Close at that tail
    /// fails.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn look_at_target(&self) -> Result<Sight> {
        let (target_tail, origin) = self.attempt.look_at_target().await?;
        Ok(Sight {
            target_tail,
            origin,
            source_tail: self.source_tail.clone(),
            // the attempt is the one after all that are fenced there
            fenced: false,
        })
    }

    /// Finds out what T's first cell is to say of retired schemas.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn learn_retired(
        &mut self,
        stores: &Stores,
        section: &BackupSection,
    ) -> Result<()> {
        let (retired, accepted) = retired(stores, &section.stream).await?;
        (self.attempt.retired, self.attempt.accepted) = (retired, accepted);
        Ok(())
    }

    async fn of(
        service: &BackupService,
        manifest: &BackupManifest,
        section: &BackupSection,
        until: Option<RestoreUntil>,
        source: Source<'_>,
    ) -> Result<Self> {
        let Source {
            object,
            source,
            tail,
            generation,
        } = source;
        let store = service.reader.stores().of(&source)?;
        store.capabilities().ensure_source()?;
        let route = Route {
            object: object.clone(),
            migration: restore_id(manifest, section, until, &source),
            fingerprint: fingerprint(manifest)?,
            source_store: Arc::clone(store),
            target_store: Arc::clone(store),
            source,
            target_name: generation_name(object, generation)?,
            generation,
            originals: None,
            // R19: a position in the source means nothing in the target
            continues: false,
        };
        Ok(Self {
            attempt: Attempt::current(route, &tail).await?,
            creates: false,
            source_tail: tail,
        })
    }
}

/// The stream whose place is taken.
struct Source<'a> {
    object: &'a ObjectId,
    source: StreamRef,
    tail: Tail,
    generation: usize,
}

async fn fresh_stream(
    service: &BackupService,
    manifest: &BackupManifest,
    section: &BackupSection,
    options: &RestoreOptions,
) -> Result<Found> {
    let until = options.until;
    let object = &section.object;
    // a stream that lost cells does not keep its backup from taking its place
    let loaded = service
        .reader
        .load_damaged(object)
        .await
        .map_err(|e| match e.kind() {
            ErrorKind::NotFound => e.with_hint("restore it as a new object"),
            _ => e,
        })?;
    if !options.again {
        let done = done_before(service, &loaded.document, manifest, section, until).await?;
        if let Some(done) = done {
            return Ok(Found::Cut(done));
        }
    }
    let replaced = Source {
        object,
        source: loaded.stream().clone(),
        generation: loaded.document.generation(),
        tail: loaded.tail,
    };
    let place = Place::of(service, manifest, section, until, replaced).await?;
    Ok(Found::Begin(Box::new(place)))
}

async fn new_object(
    service: &BackupService,
    manifest: &BackupManifest,
    section: &BackupSection,
    object: &ObjectId,
    until: Option<RestoreUntil>,
) -> Result<Found> {
    if let Some(found) = service.reader.documents().find(object).await? {
        let mut document = found.document;
        let end = chain::follow_damaged(service.reader.stores(), &document).await?;
        chain::follow_all(&mut document, &end);
        return match done_before(service, &document, manifest, section, until).await? {
            Some(done) => Ok(Found::Cut(done)),
            None => Err(exists(object)),
        };
    }
    let home = service.reader.stores().home();
    let source = StreamRef::new(home.id(), StreamId::first(object));
    let tail = home.tail(&source.stream).await?;
    let replaced = Source {
        object,
        source,
        tail,
        generation: 0,
    };
    let mut place = Place::of(service, manifest, section, until, replaced).await?;
    place.creates = true;
    match place.source_tail.close() {
        Some(close) if close.migration == place.attempt.migration => {
            Ok(Found::Cut(place.replaced()))
        }
        Some(_) => Err(begun_elsewhere(object)),
        None if place.source_tail.next_revision().0 > 0 => Err(begun_elsewhere(object)),
        None => Ok(Found::Begin(Box::new(place))),
    }
}

/// The stream whose place this section took before.
///
/// # Errors
/// Those of [`chain::reaching`].
async fn done_before(
    service: &BackupService,
    document: &ObjectDocument,
    manifest: &BackupManifest,
    section: &BackupSection,
    until: Option<RestoreUntil>,
) -> Result<Option<Replaced>> {
    let is_by_it = |entry: &TerminatedStream| {
        entry.migration == restore_id(manifest, section, until, &entry.stream)
    };
    let is_done = |document: &ObjectDocument| document.find_terminated(is_by_it).is_some();
    let (stores, documents) = (service.reader.stores(), service.reader.documents());
    let document = chain::reaching(stores, documents, document.clone(), is_done).await?;
    let done = document.find_terminated(is_by_it).cloned();
    Ok(done.map(|done| Replaced {
        object: document.object.clone(),
        source: done.stream,
        restore: done.migration,
    }))
}

/// The schemas that must not be appended to these events as they are (R11): those that the
/// migration retired that wrote the stream which was backed up, where that is still to be seen; and
/// of them, those that are accepted all the same. A
/// damaged stream does not keep its backup from being restored.
async fn retired(
    stores: &Stores,
    stream: &StreamRef,
) -> Result<(BTreeSet<Schema>, BTreeSet<Schema>)> {
    let Ok(store) = stores.of(stream) else {
        return Ok(Default::default());
    };
    match store.origin(&stream.stream).await {
        Ok(origin) => Ok(origin
            .map(|origin| (origin.retired, origin.accepted))
            .unwrap_or_default()),
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Gone) => {
            warn!(%stream, %error, "no retired schemas are known of the stream that was backed up");
            Ok(Default::default())
        }
        Err(error) => Err(error),
    }
}

pub(super) fn exists(object: &ObjectId) -> Error {
    let message = format!("object exists already: {object}");
    Error::new(ErrorKind::AlreadyExists, message).with_hint(
        "restore it as an object that does not exist, or into a fresh stream of its own object",
    )
}

fn begun_elsewhere(object: &ObjectId) -> Error {
    let message = format!("there is a stream where the new object would begin: {object}");
    Error::new(ErrorKind::AlreadyExists, message)
        .with_hint("finish what began it, an import or another restore, or choose another object")
}
