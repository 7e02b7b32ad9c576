//! A backup into new objects (R19). Never onto a stream that lives.
//!
//! The stream is written first and the document last: an object exists when it is complete. What an
//! interrupted restore left is no object; the next run compares it and goes on.

use std::collections::HashSet;
use std::sync::Arc;

use esm_core::document::ObjectDocument;
use esm_core::event::Event;
use esm_core::id::{BackupId, ObjectId, ObjectName, StreamId, StreamRef};
use esm_core::store::{
    Append, BackupItem, BackupProvider, BackupSection, CellEvent, CellKind, PageLimit, ReadFrom,
    SectionSummary, Tail,
};
use esm_core::verify::RollingHash;
use esm_core::{Error, ErrorKind, Result};

use crate::progress::Progress;
use crate::session::Session;

/// What restored objects are called.
#[derive(Debug, Clone)]
pub(crate) enum Names {
    /// As they were.
    Same,
    /// As they were, but of this name.
    Named(ObjectName),
    /// The only one: this.
    Only(ObjectId),
}

/// What was restored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Restored {
    pub(crate) objects: u64,
    pub(crate) events: u64,
}

/// Restores objects of a backup: those that are wanted, or all.
///
/// # Errors
/// `AlreadyExists` before anything is written, where an object of a new name exists; `NotFound` for
/// one that is wanted and not in the backup; `Corrupt`.
pub(crate) async fn restore(
    session: &Session,
    backups: &Arc<dyn BackupProvider>,
    id: &BackupId,
    wanted: &[ObjectId],
    names: &Names,
    progress: &Progress,
) -> Result<Restored> {
    check(session, backups, id, wanted, names).await?;
    let mut reader = backups.open(id).await?;
    let mut restored = Restored::default();
    let mut current: Option<Restoring<'_>> = None;
    while let Some(item) = reader.next().await? {
        session.interrupt().check()?;
        match item {
            BackupItem::Section(section) => {
                current = match wanted.is_empty() || wanted.contains(&section.object) {
                    true => Some(Restoring::begin(session, id, *section, names).await?),
                    false => None,
                };
            }
            BackupItem::Events(events) => {
                if let Some(restoring) = &mut current {
                    restored.events += events.len() as u64;
                    restoring.add(events).await?;
                    progress.at(restored.events);
                }
            }
            BackupItem::End(summary) => {
                if let Some(restoring) = current.take() {
                    restoring.end(&summary).await?;
                    restored.objects += 1;
                }
            }
        }
    }
    Ok(restored)
}

/// Reads the backup once, before anything is written: it must be whole, the wanted objects in it,
/// and no object of a new name may exist.
async fn check(
    session: &Session,
    backups: &Arc<dyn BackupProvider>,
    id: &BackupId,
    wanted: &[ObjectId],
    names: &Names,
) -> Result<()> {
    let mut reader = backups.open(id).await?;
    let mut missing: HashSet<&ObjectId> = wanted.iter().collect();
    let mut taken = 0;
    while let Some(item) = reader.next().await? {
        session.interrupt().check()?;
        let BackupItem::Section(section) = item else {
            continue;
        };
        if !wanted.is_empty() && !wanted.contains(&section.object) {
            continue;
        }
        missing.remove(&section.object);
        taken += 1;
        if taken > 1 && matches!(names, Names::Only(_)) {
            return Err(
                Error::invalid("a backup of several objects has no single new name")
                    .with_hint("choose one with --object, or name them all with --as-name"),
            );
        }
        let object = names.of(&section.object);
        if session.documents().find(&object).await?.is_some() {
            let message = format!("object exists already: {object}");
            return Err(Error::new(ErrorKind::AlreadyExists, message).with_hint(
                "a backup is restored as a new object: name it with --as or --as-name",
            ));
        }
    }
    match missing.into_iter().next() {
        None => Ok(()),
        Some(object) => Err(Error::not_found(format!(
            "object is not in backup {id}: {object}"
        ))),
    }
}

impl Names {
    fn of(&self, object: &ObjectId) -> ObjectId {
        match self {
            Self::Same => object.clone(),
            Self::Named(name) => ObjectId::new(name.clone(), object.key().clone()),
            Self::Only(only) => only.clone(),
        }
    }
}

/// One object on its way back.
#[derive(Debug)]
struct Restoring<'a> {
    session: &'a Session,
    backup: &'a BackupId,
    object: ObjectId,
    section: BackupSection,
    stream: StreamId,
    tail: Tail,
    /// Events of the backup that were seen, and their hash.
    count: u64,
    hash: RollingHash,
    waiting: Vec<Event>,
}

/// Cells of restored streams.
const CELL_EVENTS: usize = 500;
const CELL_BYTES: u64 = 1 << 20;

impl<'a> Restoring<'a> {
    async fn begin(
        session: &'a Session,
        backup: &'a BackupId,
        section: BackupSection,
        names: &Names,
    ) -> Result<Self> {
        let object = names.of(&section.object);
        let stream = StreamId::first(&object);
        let tail = session.events().tail(&stream).await?;
        Ok(Self {
            session,
            backup,
            object,
            section,
            stream,
            tail,
            count: 0,
            hash: RollingHash::new(),
            waiting: Vec::new(),
        })
    }

    async fn add(&mut self, events: Vec<Event>) -> Result<()> {
        for event in events {
            self.hash.add(&event);
            let present = self.count < self.tail.next_revision().0;
            self.count += 1;
            if present {
                // what an interrupted run wrote is compared at the end, by its hash
                continue;
            }
            self.waiting.push(event);
            let bytes: u64 = match self.waiting.len() % 16 {
                0 => self.waiting.iter().map(Event::approximate_size).sum(),
                _ => 0,
            };
            if self.waiting.len() >= CELL_EVENTS || bytes >= CELL_BYTES {
                self.write().await?;
            }
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<()> {
        let events = std::mem::take(&mut self.waiting);
        if events.is_empty() {
            return Ok(());
        }
        let commit = self.session.environment().commit_id();
        let append = Append::events(commit, events.into_iter().map(CellEvent::from).collect());
        let store = self.session.events();
        self.tail = store
            .append(&self.stream, &self.tail, append)
            .await
            .map_err(|e| e.context(format!("restoring {}", self.object)))?;
        Ok(())
    }

    async fn end(mut self, summary: &SectionSummary) -> Result<()> {
        self.write().await?;
        if self.hash.to_string() != summary.hash || self.count != summary.events {
            let message = format!("backup {} is damaged: {}", self.backup, self.section.object);
            return Err(Error::corrupt(message));
        }
        let stored = self.stored().await?;
        if stored != self.hash || self.tail.next_revision().0 != summary.events {
            let message = format!("another stream stands where {} begins", self.object);
            return Err(Error::new(ErrorKind::AlreadyExists, message)
                .with_hint("restore it under another name with --as"));
        }
        let stream = StreamRef::new(self.session.events().id(), self.stream.clone());
        let now = self.session.environment().clock.now();
        let mut document = ObjectDocument::new(self.object.clone(), stream, now);
        if let Some(original) = self.section.document.take() {
            document.extra = original.extra;
        }
        let from = serde_json::json!({
            "backup": self.backup,
            "object": self.section.object,
            "stream": self.section.stream,
        });
        document.extra.insert("restored_from".to_owned(), from);
        self.session.documents().create(&document).await
    }

    /// The hash of what stands in the stream now.
    async fn stored(&self) -> Result<RollingHash> {
        let mut hash = RollingHash::new();
        let mut from = ReadFrom::Seq(0);
        loop {
            let page = self
                .session
                .events()
                .read(&self.stream, from, PageLimit::default())
                .await?;
            for cell in &page.cells {
                if matches!(cell.header.kind, CellKind::Data { .. }) {
                    cell.events.iter().for_each(|e| hash.add(&e.event));
                }
            }
            match page.cells.last() {
                Some(last) if !page.at_end => from = ReadFrom::Seq(last.header.seq + 1),
                _ => return Ok(hash),
            }
        }
    }
}
