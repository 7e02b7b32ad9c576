//! Streams into a backup. The one piece of code for migrations and for backups by hand.

use std::sync::Arc;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use crate::RollingHash;
use crate::backup::checked::{CheckedReader, Contents};
use crate::backup::progress::{BackupStage, Monitor};
use crate::clock::Environment;
use crate::cutover::source::cells::CellScan;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::id::{BackupId, MigrationId, StreamRef};
use crate::object::{KnownStream, ObjectDocument, StreamEnd};
use crate::store::{
    BackupDraft, BackupItem, BackupKind, BackupManifest, BackupProvider, BackupSection,
    BackupWriter, Cell, EventStore, ReadFrom, SectionSummary, Stores,
};

/// A stream to be backed up.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// Its stream, and the least that it must have.
    pub(crate) stream: KnownStream,
    /// Goes into the backup where its settings want documents.
    pub(crate) document: Option<ObjectDocument>,
}

/// A stream that is read ahead.
struct Opened {
    subject: Subject,
    store: Arc<dyn EventStore>,
    cells: CellScan,
}

/// A name that no other backup has: every try has its own, so that nothing is overwritten.
pub(crate) fn fresh_id(
    environment: &Environment,
    kind: BackupKind,
    now: Timestamp,
    migration: Option<MigrationId>,
) -> Result<BackupId> {
    let kind = match kind {
        BackupKind::Archive => "archive",
        BackupKind::Backup => "backup",
    };
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    let unique = &environment.uuid_v4().simple().to_string()[..8];
    BackupId::new(match migration {
        Some(migration) => format!("{kind}-{time}-{migration}-{unique}"),
        None => format!("{kind}-{time}-{unique}"),
    })
}

/// Writes one backup of several streams, then verifies it by reading it again. So many streams are read
/// at the same time, each of which holds at most a few pages; otherwise memory does not grow with the
/// number of streams or events.
///
/// # Errors
/// `NotFound` when there are no streams: then nothing was written. `Gone` for a stream that ends
/// before what is known of it. `Corrupt` when what is read back
/// is not what was written; those of store and provider.
pub(crate) async fn write_verified(
    provider: &dyn BackupProvider,
    draft: BackupDraft,
    stores: &Stores,
    subjects: impl Stream<Item = Result<Subject>> + Send,
    readers: usize,
    monitor: &dyn Monitor,
) -> Result<BackupManifest> {
    let stores = stores.clone();
    let opened = subjects.map(move |subject| {
        let opened = subject.and_then(|subject| {
            let stream = subject.stream.stream();
            let store = Arc::clone(stores.of(stream)?);
            let cells = CellScan::start(&store, stream, ReadFrom::Seq(0));
            Ok(Opened {
                subject,
                store,
                cells,
            })
        });
        std::future::ready(opened)
    });
    let mut opened = std::pin::pin!(opened.buffered(readers.max(1)));
    let Some(first) = opened.try_next().await? else {
        return Err(Error::not_found(
            "no objects to back up; no backup was written",
        ));
    };
    let id = draft.id.clone();
    let documents = draft.settings.content.documents;
    monitor.stage(BackupStage::Writing, &id, None);
    let mut writer = provider.create(draft).await?;
    let mut written = Contents::default();
    let mut next = Some(first);
    while let Some(mut stream) = next {
        let document = stream.subject.document.take().filter(|_| documents);
        let known = &stream.subject.stream;
        let section = BackupSection {
            object: known.object().clone(),
            stream: known.stream().clone(),
            document,
        };
        let summary = write_section(&mut *writer, &section, stream, monitor).await?;
        written.add(&section, &summary);
        next = opened.try_next().await?;
    }
    let manifest = writer.finish().await?;
    let (_, read) = read_through(provider, &manifest.id, monitor).await?;
    if read != written {
        let message = format!("backup {id} does not hold what was written into it");
        return Err(Error::corrupt(message));
    }
    Ok(manifest)
}

async fn write_section(
    writer: &mut dyn BackupWriter,
    section: &BackupSection,
    mut opened: Opened,
    monitor: &dyn Monitor,
) -> Result<SectionSummary> {
    monitor.check()?;
    monitor.section(&section.object);
    writer.section(section.clone()).await?;
    let (mut count, mut hash) = (0, RollingHash::new());
    let mut end = StreamEnd::default();
    while let Some(page) = opened.cells.next().await? {
        monitor.check()?;
        for cell in page.cells {
            end = StreamEnd::after(&cell.header);
            let events = events_of(cell, &section.stream)?;
            if events.is_empty() {
                continue;
            }
            events.iter().for_each(|event| hash.add(event));
            count += events.len() as u64;
            writer.events(&events).await?;
            monitor.wrote(events.len() as u64);
        }
    }
    opened.subject.stream.check(&*opened.store, end)?;
    let summary = SectionSummary {
        events: count,
        hash: hash.to_string(),
    };
    writer.end(summary.clone()).await?;
    Ok(summary)
}

fn events_of(cell: Cell, stream: &StreamRef) -> Result<Vec<Event>> {
    if cell.events.len() as u64 != cell.header.count {
        let message = format!("cell {} was deleted: {stream}", cell.header.seq);
        return Err(Error::new(ErrorKind::Gone, message));
    }
    Ok(cell.events.into_iter().map(|e| e.event).collect())
}

/// Reads a backup to its end, and verifies its counts and hashes.
///
/// # Errors
/// `Corrupt`, naming the backup and the section; those of the provider.
pub(super) async fn read_through(
    provider: &dyn BackupProvider,
    id: &BackupId,
    monitor: &dyn Monitor,
) -> Result<(BackupManifest, Contents)> {
    let mut reader = CheckedReader::open(provider, id).await?;
    monitor.stage(BackupStage::Verifying, id, Some(reader.manifest().events));
    while let Some(item) = reader.next().await? {
        monitor.check()?;
        match item {
            BackupItem::Section(section) => monitor.section(&section.object),
            BackupItem::Events(events) => monitor.passed(events.len() as u64),
            BackupItem::End(_) => {}
        }
    }
    Ok((reader.manifest().clone(), reader.contents()))
}
