//! Where a section is restored: the stream whose place is taken, and the fresh one.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::warn;

use crate::backup::BackupService;
use crate::backup::restore::request::RestoreTarget;
use crate::cutover::attempt::{Attempt, Route};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Schema;
use crate::id::{Fingerprint, MigrationId, ObjectId, StreamId, StreamRef};
use crate::object::{ObjectDocument, TerminatedStream, chain};
use crate::protocol::planned::generation_name;
use crate::store::{
    BackupManifest, BackupSection, EventStore, EventStoreExt as _, Origin, Stores, Tail,
};

/// Identity of a restore: of this backup's section, in the place of this stream. Derived, so that
/// whoever does the same again resumes it. A name may be used again for another backup after a
/// deletion, hence the checksum.
fn restore_id(
    manifest: &BackupManifest,
    section: &BackupSection,
    source: &StreamRef,
) -> MigrationId {
    let mut hash = blake3::Hasher::new_derive_key("esm restore id v1");
    let object = section.object.to_string();
    for field in [
        manifest.id.as_str().as_bytes(),
        manifest.checksums.stored_blake3.as_bytes(),
        object.as_bytes(),
        section.stream.store.as_uuid().as_bytes(),
        section.stream.stream.as_str().as_bytes(),
        source.store.as_uuid().as_bytes(),
        source.stream.as_str().as_bytes(),
    ] {
        hash.update(&(field.len() as u64).to_le_bytes());
        hash.update(field);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    MigrationId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// What stands for a transformation in a restored stream: never equal to one, so a migration of the
/// object does not take it for done.
pub(super) fn fingerprint(manifest: &BackupManifest) -> Result<Fingerprint> {
    Fingerprint::new(format!("restore:{}", manifest.id))
}

/// Where a section is restored.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) store: Arc<dyn EventStore>,
    /// The object that gets the events, S and T.
    pub(super) attempt: Attempt,
    pub(super) restore: MigrationId,
    pub(super) fingerprint: Fingerprint,
    /// Whether the object is to be made.
    pub(super) creates: bool,
    /// Events of S when it was looked up.
    pub(super) source_events: u64,
}

/// What was found where a section is to be restored.
#[derive(Debug)]
pub(super) enum Found {
    /// Everything or a part is left to do, but for the Close.
    Begin(Box<Place>),
    /// S is closed to T already; the document may be left to do.
    Cut(Box<Place>),
    /// It was done, and says so in the object's document.
    Done(ObjectId, Box<TerminatedStream>),
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
        again: bool,
    ) -> Result<Found> {
        match target {
            RestoreTarget::NewObject(object) => {
                new_object(service, manifest, section, object).await
            }
            RestoreTarget::FreshStream => fresh_stream(service, manifest, section, again).await,
        }
    }

    /// What T's first cell says.
    pub(super) async fn origin(&self, stores: &Stores, section: &BackupSection) -> Result<Origin> {
        let (retired, accepted) = retired(stores, &section.stream).await?;
        Ok(Origin {
            source: self.attempt.source.clone(),
            migration: self.restore,
            attempt: self.attempt.number,
            fingerprint: self.fingerprint.clone(),
            retired,
            accepted,
            restores: None,
        })
    }

    async fn of(
        service: &BackupService,
        manifest: &BackupManifest,
        section: &BackupSection,
        (object, source, tail): (&ObjectId, StreamRef, &Tail),
        generation: usize,
    ) -> Result<Self> {
        let store = Arc::clone(service.reader.stores().of(&source)?);
        store.capabilities().ensure_source()?;
        let restore = restore_id(manifest, section, &source);
        let fingerprint = fingerprint(manifest)?;
        let route = Route {
            object: object.clone(),
            migration: restore,
            fingerprint: fingerprint.clone(),
            source,
            source_store: Arc::clone(&store),
            target_store: Arc::clone(&store),
            target_name: generation_name(object, generation)?,
            generation,
            originals: None,
            // R19: a position in the source means nothing in the target
            continues: false,
        };
        Ok(Self {
            attempt: Attempt::current(route, tail).await?,
            store,
            restore,
            fingerprint,
            creates: false,
            source_events: tail.next_revision().0,
        })
    }
}

async fn fresh_stream(
    service: &BackupService,
    manifest: &BackupManifest,
    section: &BackupSection,
    again: bool,
) -> Result<Found> {
    let object = &section.object;
    let loaded = service
        .reader
        .load(object)
        .await
        .map_err(|e| match e.kind() {
            ErrorKind::NotFound => e.with_hint("restore it as a new object"),
            _ => e,
        })?;
    if !again && let Some(done) = done_before(&loaded.document, manifest, section) {
        return Ok(Found::Done(object.clone(), Box::new(done.clone())));
    }
    let generation = loaded.document.terminated.len();
    let source = (object, loaded.stream().clone(), &loaded.tail);
    let place = Place::of(service, manifest, section, source, generation).await?;
    Ok(Found::Begin(Box::new(place)))
}

async fn new_object(
    service: &BackupService,
    manifest: &BackupManifest,
    section: &BackupSection,
    object: &ObjectId,
) -> Result<Found> {
    if let Some(found) = service.reader.documents().find(object).await? {
        let mut document = found.document;
        let active = document.active.clone();
        let end = chain::follow_in(service.reader.stores(), active).await?;
        chain::follow_all(&mut document, &end);
        return match done_before(&document, manifest, section) {
            Some(done) => Ok(Found::Done(object.clone(), Box::new(done.clone()))),
            None => Err(exists(object)),
        };
    }
    let home = service.reader.stores().home();
    let source = StreamRef::new(home.id(), StreamId::first(object));
    let tail = home.tail(&source.stream).await?;
    let mut place = Place::of(service, manifest, section, (object, source, &tail), 0).await?;
    place.creates = true;
    match tail.close() {
        Some(close) if close.migration == place.restore => {
            // of the attempt that was closed to
            if let Some(target) = &close.target {
                place.attempt.target = target.clone();
            }
            Ok(Found::Cut(Box::new(place)))
        }
        Some(_) => Err(begun_elsewhere(object)),
        None if tail.next_revision().0 > 0 => Err(begun_elsewhere(object)),
        None => Ok(Found::Begin(Box::new(place))),
    }
}

/// The stream whose place this section took before.
fn done_before<'a>(
    document: &'a ObjectDocument,
    manifest: &BackupManifest,
    section: &BackupSection,
) -> Option<&'a TerminatedStream> {
    (document.terminated.iter())
        .rfind(|entry| entry.migration == restore_id(manifest, section, &entry.stream))
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
    let message = format!("a stream stands where the new object would begin: {object}");
    Error::new(ErrorKind::AlreadyExists, message)
        .with_hint("finish what began it, an import or another restore, or choose another object")
}
