//! An object: its document, and each stream of its chain from the first to the last.

use std::collections::HashSet;
use std::sync::Arc;

use crate::doctor::finding::{Finding, FindingKind, Remedy, Subject};
use crate::doctor::look::stream::{Seen, look};
use crate::doctor::service::Doctor;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ObjectId, StreamRef};
use crate::object::{KnownStream, ObjectDocument, TerminatedStream, TerminationReason, chain};
use crate::store::{Close, EventStore, EventStoreExt as _, Fence};

/// What was found of an object.
#[derive(Debug, Default)]
pub(in crate::doctor) struct ObjectFindings {
    pub(in crate::doctor) findings: Vec<Finding>,
    /// The streams of its chain.
    pub(in crate::doctor) streams: Vec<StreamRef>,
    pub(in crate::doctor) events: u64,
    /// Targets of fenced attempts that have no first cell, as is right.
    pub(in crate::doctor) fenced: Vec<(ObjectId, Fence)>,
    /// Streams that were found to be damaged.
    pub(in crate::doctor) damaged: Vec<StreamRef>,
}

/// Examines one object. `listed` says that the store lists it, so that a missing document is damage.
///
/// # Errors
/// `NotFound` for an unknown object that is not listed; those of the stores, except for damage.
pub(in crate::doctor) async fn examine(
    doctor: &Doctor,
    object: &ObjectId,
    listed: bool,
) -> Result<ObjectFindings> {
    let subject = Subject::Object(object.clone());
    let mut found = ObjectFindings::default();
    let damaged = |detail: &dyn std::fmt::Display| {
        let kind = FindingKind::DamagedDocument;
        Finding::new(kind, subject.clone(), detail, Remedy::PutBack)
    };
    let document = match doctor.documents.find(object).await {
        Ok(Some(document)) => document.document,
        Ok(None) if listed => {
            let detail = format!("the first versions of the document of {object} are missing");
            found.findings.push(damaged(&detail));
            return Ok(found);
        }
        Ok(None) => return doctor.documents.load(object).await.map(|_| found),
        Err(error) if error.is_damage() => {
            found.findings.push(damaged(&error));
            return Ok(found);
        }
        Err(error) => return Err(error),
    };
    let document = whole(doctor, document, &mut found).await?;
    let mut walk = Walk {
        doctor,
        document: &document,
        found: &mut found,
        before: None,
        closed_active: false,
    };
    walk.all().await?;
    let is_behind = walk.closed_active;
    if is_behind {
        behind(doctor, &document, &mut found).await?;
    }
    archives(doctor, &document, &mut found).await?;
    Ok(found)
}

/// The document with all of its streams, as far as they can be read.
async fn whole(
    doctor: &Doctor,
    document: ObjectDocument,
    found: &mut ObjectFindings,
) -> Result<ObjectDocument> {
    let damage = match doctor.documents.whole(document.clone()).await {
        Ok(document) => return Ok(document),
        Err(error) if error.is_damage() => error,
        Err(error) => return Err(error),
    };
    found.findings.push(Finding::new(
        FindingKind::DamagedVersion,
        Subject::Object(document.object.clone()),
        damage,
        Remedy::PutBack,
    ));
    let (stores, documents) = (&doctor.stores, &doctor.documents);
    match chain::reaching(stores, documents, document.clone(), |_| false).await {
        Err(error) if error.is_damage() || *error.kind() == ErrorKind::UnknownStore => Ok(document),
        reached => reached,
    }
}

/// The way from the first stream to the last.
struct Walk<'a> {
    doctor: &'a Doctor,
    document: &'a ObjectDocument,
    found: &'a mut ObjectFindings,
    /// The stream before, with the Close that leads from it.
    before: Option<(StreamRef, Close)>,
    /// Whether the active stream is closed and another continues it.
    closed_active: bool,
}

impl Walk<'_> {
    async fn all(&mut self) -> Result<()> {
        let mut met = HashSet::new();
        let mut next = Some(self.document.first_stream().clone());
        while let Some(stream) = next {
            if !met.insert(stream.clone()) {
                let circle = format!("chain of closed streams is a circle: {stream}");
                self.add(
                    FindingKind::DamagedStream,
                    &stream,
                    &circle,
                    Remedy::PutBack,
                );
                return Ok(());
            }
            self.found.streams.push(stream.clone());
            next = self.stream(&stream).await?;
        }
        Ok(())
    }

    /// Examines a stream, and returns the one that continues it.
    async fn stream(&mut self, stream: &StreamRef) -> Result<Option<StreamRef>> {
        let entry = self.document.terminated(stream).cloned();
        let listed_next = entry.as_ref().map(|entry| entry.continuation.clone());
        let before = self.before.take();
        let store = match self.doctor.stores.of(stream) {
            Ok(store) => Arc::clone(store),
            Err(error) => {
                self.add(FindingKind::UnknownStore, stream, &error, Remedy::NameStore);
                return Ok(listed_next);
            }
        };
        let seen = match look(&store, stream, self.doctor.depth).await {
            Ok(seen) => seen,
            Err(error) if error.is_damage() => {
                self.damaged(FindingKind::DamagedStream, stream, &error);
                return Ok(listed_next);
            }
            Err(error) => return Err(error),
        };
        self.found.events += seen.end.events.0;
        let mut known = KnownStream::of(self.document, stream);
        if let Some((_, close)) = &before {
            known = known.continuing(close);
        }
        if let Err(lost) = known.check(&*store, seen.end) {
            self.damaged(FindingKind::LostEvents, stream, &lost);
        } else if let Some((closed, close)) = &before {
            self.continues(closed, close, &known).await?;
        }
        self.fenced(&store, stream, &seen).await?;
        let Some(close) = seen.close else {
            return Ok(listed_next);
        };
        match &entry {
            Some(entry) => self.compare(entry, &close),
            None => self.closed_active |= close.target.is_some(),
        }
        let next = close.target.clone();
        self.before = Some((stream.clone(), close));
        Ok(next)
    }

    /// Checks that a stream names the one that was closed to it.
    async fn continues(
        &mut self,
        closed: &StreamRef,
        close: &Close,
        known: &KnownStream,
    ) -> Result<()> {
        let stores = &self.doctor.stores;
        match chain::ensure_continues(stores, closed, close, known).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_damage() || *error.kind() == ErrorKind::UnknownStore => {
                let remedy = self.restore();
                let kind = FindingKind::TargetContradicts;
                self.add(kind, known.stream(), &error, remedy);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Compares what the document says of a closed stream with its Close.
    fn compare(&mut self, entry: &TerminatedStream, close: &Close) {
        let agrees = close.target.as_ref() == Some(&entry.continuation)
            && close.events == entry.events
            && close.target_events == entry.continuation_events
            && close.migration == entry.migration;
        if !agrees {
            let detail = format!(
                "the document says {} events, then {} of {}, by migration {}; the Close says {} \
                 events, then {} of {}, by migration {}",
                entry.events,
                entry.continuation_events,
                entry.continuation.stream,
                entry.migration,
                close.events,
                close.target_events,
                close
                    .target
                    .as_ref()
                    .map_or("nothing", |t| t.stream.as_str()),
                close.migration
            );
            let kind = FindingKind::DocumentContradicts;
            self.add(kind, &entry.stream, &detail, Remedy::PutBack);
        }
    }

    /// Looks for the targets of fenced attempts, which are to be discarded.
    async fn fenced(
        &mut self,
        store: &Arc<dyn EventStore>,
        stream: &StreamRef,
        seen: &Seen,
    ) -> Result<()> {
        let closed_to = seen.close.as_ref().and_then(|close| close.target.as_ref());
        for fence in &seen.fences {
            if closed_to.is_some_and(|target| target.stream == fence.target) {
                continue;
            }
            let is_there = match store.cell(&fence.target, 0).await {
                Ok(cell) => cell.is_some(),
                Err(error) if error.is_damage() => true,
                Err(error) => return Err(error),
            };
            if !is_there {
                let object = self.document.object.clone();
                self.found.fenced.push((object, fence.clone()));
                continue;
            }
            // whoever undoes a migration discards its targets too
            if self.doctor.has_ended(fence.migration).await? {
                let target = StreamRef::new(store.id(), fence.target.clone());
                let (migration, source) = (fence.migration, &stream.stream);
                let detail = format!(
                    "target of migration {migration}, which was undone, as its source {source} \
                     says: {}",
                    target.stream
                );
                let kind = FindingKind::FencedTarget;
                let finding = self.finding(kind, &target, &detail, NEXT_MIGRATION);
                self.found.findings.push(finding.at_cell(Some(0)));
                self.found.streams.push(target);
            }
        }
        Ok(())
    }

    /// Reports damage, unless a restore has replaced the stream for it.
    fn damaged(&mut self, kind: FindingKind, stream: &StreamRef, error: &Error) {
        self.found.damaged.push(stream.clone());
        let entry = self.document.terminated(stream);
        if entry.is_some_and(|entry| entry.reason == TerminationReason::Restored) {
            let remedy = Remedy::Nothing("a restore has replaced the stream");
            return self.add(FindingKind::ReplacedStream, stream, error, remedy);
        }
        // to restore the object would close its active stream, which is whole
        let remedy = match entry {
            Some(_) => Remedy::PutBack,
            None => self.restore(),
        };
        self.add(kind, stream, error, remedy);
    }

    fn restore(&self) -> Remedy {
        Remedy::RestoreObject(self.document.object.clone())
    }

    fn add(
        &mut self,
        kind: FindingKind,
        stream: &StreamRef,
        detail: &dyn std::fmt::Display,
        remedy: Remedy,
    ) {
        let finding = self.finding(kind, stream, detail, remedy);
        self.found.findings.push(finding);
    }

    fn finding(
        &self,
        kind: FindingKind,
        stream: &StreamRef,
        detail: &dyn std::fmt::Display,
        remedy: Remedy,
    ) -> Finding {
        let subject = Subject::stream_of(&self.document.object, stream);
        Finding::new(kind, subject, detail, remedy)
    }
}

/// What discards the targets of fenced attempts.
pub(in crate::doctor) const NEXT_MIGRATION: Remedy =
    Remedy::Later("the next migration or rollback of the object removes it");

/// Reports a document that is behind its streams, unless somebody has corrected it meanwhile.
async fn behind(
    doctor: &Doctor,
    document: &ObjectDocument,
    found: &mut ObjectFindings,
) -> Result<()> {
    let newest = doctor.documents.find(&document.object).await;
    let is_same = |error: &Error| error.is_damage();
    match newest {
        Ok(Some(newest)) if newest.document.active != document.active => return Ok(()),
        Err(error) if !is_same(&error) => return Err(error),
        _ => {}
    }
    found.findings.push(Finding::new(
        FindingKind::DocumentBehind,
        Subject::Object(document.object.clone()),
        format!(
            "the document names {}, which was closed",
            document.active.stream
        ),
        Remedy::Later("the next append or migration of the object corrects it"),
    ));
    Ok(())
}

/// Looks for the archives that the document names.
async fn archives(
    doctor: &Doctor,
    document: &ObjectDocument,
    found: &mut ObjectFindings,
) -> Result<()> {
    let Some(backups) = &doctor.backups else {
        return Ok(());
    };
    let archives = document
        .terminated
        .iter()
        .filter_map(|e| e.archive.as_ref());
    for archive in archives {
        match backups.manifest(&archive.id).await {
            Err(error) if *error.kind() == ErrorKind::NotFound => {
                found.findings.push(Finding::new(
                    FindingKind::MissingArchive,
                    Subject::Object(document.object.clone()),
                    format!("archive is not among these backups: {}", archive.id),
                    Remedy::Nothing("look for it where archives are kept: --backup URL"),
                ));
            }
            // the backups are examined by themselves
            Err(error) if !error.is_damage() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
