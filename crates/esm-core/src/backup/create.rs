//! Objects into a backup, by hand.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{self, BoxStream, Stream, StreamExt as _};

use crate::backup::options::BackupOptions;
use crate::backup::progress::BackupStage;
use crate::backup::service::BackupService;
use crate::backup::write::{Subject, fresh_id, write_verified};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ObjectId;
use crate::object::KnownStream;
use crate::protocol::plan::Scope;
use crate::router::ObjectReader;
use crate::store::{BackupDraft, BackupKind, BackupManifest};

/// How many objects are looked up at the same time.
const LOADS_AHEAD: usize = 8;
/// How many streams are read at the same time.
const STREAMS_AHEAD: usize = 4;

impl BackupService {
    /// Writes one backup of the active streams of these objects, and verifies it by reading it
    /// again.
    ///
    /// # Guarantees
    /// 1. The backup holds every event of an object that was acknowledged before the object was read.
    ///    Of each object it holds a prefix of its stream without gaps. Objects are read at different
    ///    times.
    /// 2. The backup becomes visible, whole, when this succeeds. After an error it may exist, and is
    ///    sound if [`verify`](Self::verify) succeeds.
    /// 3. Nothing is written to the streams or the documents. A document that is behind its stream is
    ///    backed up as it should be.
    /// 4. Memory does not grow with the number of objects or events.
    ///
    /// # Errors
    /// - `NotFound` for an unknown object, and where there is no object at all; `Deleted` for one
    ///   that was deleted and is named. No backup was written.
    /// - `AlreadyExists` when the name is taken; `Gone` for a stream whose events were deleted.
    /// - `Invalid` for an object that is named twice, or options that cannot be met.
    /// - `Corrupt` when what is read back is not what was written; those of store and provider.
    ///
    /// # Cancel safety
    /// Dropping the future leaves no backup, or a whole one.
    pub async fn create(&self, scope: &Scope, options: BackupOptions) -> Result<BackupManifest> {
        refuse_twice(scope)?;
        let objects: BoxStream<'_, Result<ObjectId>> = match scope {
            Scope::Objects(objects) => stream::iter(objects.iter().cloned().map(Ok)).boxed(),
            Scope::Name(name) => self.reader.documents().objects(Some(name.clone())),
            Scope::All => self.reader.documents().objects(None),
        };
        let named = matches!(scope, Scope::Objects(_));
        self.create_from(objects, named, options).await
    }

    /// As [`create`](Self::create), of the objects that a stream yields, in its order. It must yield
    /// each once.
    ///
    /// # Errors
    /// As [`create`](Self::create), and the stream's own.
    pub async fn create_of(
        &self,
        objects: impl Stream<Item = Result<ObjectId>> + Send,
        options: BackupOptions,
    ) -> Result<BackupManifest> {
        self.create_from(objects, true, options).await
    }

    async fn create_from(
        &self,
        objects: impl Stream<Item = Result<ObjectId>> + Send,
        named: bool,
        options: BackupOptions,
    ) -> Result<BackupManifest> {
        let provider = options.provider.as_ref().unwrap_or(&self.provider);
        let provider = Arc::clone(provider);
        let draft = self.draft(options)?;
        let watch = self.watch(BackupStage::Writing);
        let reader = self.reader.clone();
        let subjects = objects
            .map(move |object| subject(reader.clone(), object, named))
            .buffered(LOADS_AHEAD)
            .filter_map(|subject| std::future::ready(subject.transpose()));
        let stores = self.reader.stores();
        let written =
            write_verified(&*provider, draft, stores, subjects, STREAMS_AHEAD, &watch).await;
        watch.end(written).await
    }

    fn draft(&self, options: BackupOptions) -> Result<BackupDraft> {
        let now = self.environment.clock.now();
        let kind = BackupKind::Backup;
        Ok(BackupDraft {
            id: match &options.id {
                Some(id) => id.clone(),
                None => fresh_id(&self.environment, kind, now, None)?,
            },
            kind,
            migration: None,
            created_at: now,
            settings: options.settle(now)?,
        })
    }
}

/// An object's active stream; nothing for one that was deleted, unless it was asked for by name.
async fn subject(
    reader: ObjectReader,
    object: Result<ObjectId>,
    named: bool,
) -> Result<Option<Subject>> {
    let object = object?;
    let loaded = match reader.load(&object).await {
        Err(e) if !named && *e.kind() == ErrorKind::Deleted => return Ok(None),
        loaded => loaded?,
    };
    let stream = KnownStream::of(&loaded.document, loaded.stream());
    Ok(Some(Subject {
        stream: stream.with_events(loaded.tail.next_revision()),
        document: Some(loaded.document),
    }))
}

fn refuse_twice(scope: &Scope) -> Result<()> {
    let Scope::Objects(objects) = scope else {
        return Ok(());
    };
    let mut seen = HashSet::new();
    match objects.iter().find(|object| !seen.insert(*object)) {
        Some(twice) => Err(Error::invalid(format!("object is named twice: {twice}"))),
        None => Ok(()),
    }
}
