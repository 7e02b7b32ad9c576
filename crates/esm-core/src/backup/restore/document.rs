//! The document after the pivot: last, so that nobody sees a half-restored object.

use std::time::Duration;

use crate::backup::BackupService;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Fingerprint, MigrationId, ObjectId, StreamRef};
use crate::object::{ObjectDocument, TerminatedStream, chain};
use crate::store::BackupSection;

/// How often a document is created whose creation has an unknown outcome.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(20);

/// What the document of an object must say of a restore that has passed its pivot.
#[derive(Debug)]
pub(super) struct Restoration<'a> {
    pub(super) object: &'a ObjectId,
    /// The stream whose place was taken.
    pub(super) source: &'a StreamRef,
    pub(super) restore: MigrationId,
    pub(super) fingerprint: &'a Fingerprint,
    /// What a new object's document takes over; absent where the object existed before.
    pub(super) new: Option<&'a BackupSection>,
}

/// Makes a document name the end of its chain, if it does not (R12).
///
/// # Errors
/// Those of the store and the records.
pub(super) async fn help(service: &BackupService, object: &ObjectId) -> Result<()> {
    update(service, object, |_| false).await.map(drop)
}

/// Makes a document name the end of its chain, and changes it further.
async fn update(
    service: &BackupService,
    object: &ObjectId,
    change: impl Fn(&mut ObjectDocument) -> bool + Send + Sync,
) -> Result<ObjectDocument> {
    let documents = service.reader.documents();
    let document = documents.load(object).await?.document;
    let end = chain::follow_in(service.reader.stores(), document.active).await?;
    let follow = |document: &mut ObjectDocument| {
        let followed = chain::follow_all(document, &end);
        change(document) || followed
    };
    documents.update(object, follow).await
}

impl Restoration<'_> {
    /// Makes the document name the chain's end, keeping every other field; a new object gets one.
    /// Helpers may have done a part of it already. Answers the entry of the closed stream.
    ///
    /// # Errors
    /// Those of the store and the records. Do the same again.
    pub(super) async fn follow(&self, service: &BackupService) -> Result<TerminatedStream> {
        let documents = service.reader.documents();
        for round in 0..TRIES {
            if self.new.is_none() || documents.find(self.object).await?.is_some() {
                return self.update(service).await;
            }
            let document = self.first_document(service).await?;
            match documents.create(&document).await {
                Ok(()) => return self.entry(&document),
                // the next round finds whose it is; one of an application is updated
                Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. } | ErrorKind::Ambiguous) => {
                }
                Err(e) => return Err(e),
            }
            let environment = &service.environment;
            let pause = environment.jittered(PAUSE * (round + 1));
            environment.clock.sleep(pause).await;
        }
        Err(Error::new(
            ErrorKind::Ambiguous,
            format!("creating has an unknown outcome: {}", self.object),
        )
        .with_hint("restore again: that is safe"))
    }

    async fn update(&self, service: &BackupService) -> Result<TerminatedStream> {
        let document = update(service, self.object, |d| self.complete(d)).await?;
        self.entry(&document)
    }

    async fn first_document(&self, service: &BackupService) -> Result<ObjectDocument> {
        let end = chain::follow_in(service.reader.stores(), self.source.clone()).await?;
        let now = service.environment.clock.now();
        let mut document = ObjectDocument::new(self.object.clone(), self.source.clone(), now);
        if let Some(original) = self.new.and_then(|section| section.document.as_ref()) {
            document.extra.clone_from(&original.extra);
        }
        chain::follow_all(&mut document, &end);
        self.complete(&mut document);
        Ok(document)
    }

    /// Fills in what a helper did not know.
    fn complete(&self, document: &mut ObjectDocument) -> bool {
        let entry = document.terminated.iter_mut().rfind(|e| self.is_of(e));
        let Some(entry) = entry.filter(|e| e.fingerprint.is_none()) else {
            return false;
        };
        entry.fingerprint = Some(self.fingerprint.clone());
        true
    }

    fn entry(&self, document: &ObjectDocument) -> Result<TerminatedStream> {
        let entry = document.terminated.iter().rfind(|e| self.is_of(e));
        entry.cloned().ok_or_else(|| {
            let (object, source) = (self.object, self.source);
            Error::corrupt(format!(
                "the document of {object} does not know of {source}"
            ))
        })
    }

    fn is_of(&self, entry: &TerminatedStream) -> bool {
        entry.stream == *self.source && entry.migration == self.restore
    }
}
