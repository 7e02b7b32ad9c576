//! Step 2: back up, and read the backup again before going on.

use std::sync::Arc;

use jiff::Timestamp;

use crate::document::ObjectDocument;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Revision};
use crate::id::{BackupId, ObjectId, StreamRef};
use crate::migration::context::Context;
use crate::migration::scan::CellScan;
use crate::migration::status::Step;
use crate::store::{
    BackupDraft, BackupHandle, BackupItem, BackupKind, BackupProvider, BackupReader, BackupSection,
    BackupSettings, BackupWriter, ReadFrom, SectionSummary,
};
use crate::verify::RollingHash;

/// A stream to be backed up.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) object: ObjectId,
    pub(crate) stream: StreamRef,
    pub(crate) document: Option<ObjectDocument>,
}

/// Writes one backup of several streams, verifies it by reading it again, and answers its handle.
///
/// # Errors
/// `Corrupt` when what is read back is not what was written; those of store and provider.
pub(crate) async fn back_up(
    context: &Context,
    provider: &Arc<dyn BackupProvider>,
    kind: BackupKind,
    settings: &BackupSettings,
    subjects: &[Subject],
) -> Result<BackupHandle> {
    let step = match kind {
        BackupKind::Archive => Step::CloseBooks,
        BackupKind::Backup => Step::BackUp,
    };
    context.reporter.update(|p| p.step = step);
    let now = context.environment.clock.now();
    let draft = BackupDraft {
        id: fresh_id(context, kind, now)?,
        kind,
        migration: Some(context.migration()),
        created_at: now,
        settings: settings.clone(),
    };
    let mut writer = provider.create(draft).await?;
    let mut summaries = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let document = subject
            .document
            .clone()
            .filter(|_| settings.content.documents);
        summaries.push(write_section(context, &mut *writer, subject, document).await?);
    }
    let manifest = writer.finish().await?;
    let mut reader = provider.open(&manifest.id).await?;
    let found = read_sections(&mut *reader).await?;
    if found != summaries {
        let message = format!(
            "backup {} does not hold what was written into it",
            manifest.id
        );
        return Err(Error::corrupt(message));
    }
    Ok(manifest.handle(provider.name()))
}

/// Named by migration and attempt: every try has its own name, so that nothing is overwritten.
fn fresh_id(context: &Context, kind: BackupKind, now: Timestamp) -> Result<BackupId> {
    let kind = match kind {
        BackupKind::Archive => "archive",
        BackupKind::Backup => "backup",
    };
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    let unique = &context.environment.uuid_v4().simple().to_string()[..8];
    BackupId::new(format!("{kind}-{time}-{}-{unique}", context.migration()))
}

async fn write_section(
    context: &Context,
    writer: &mut dyn BackupWriter,
    subject: &Subject,
    document: Option<ObjectDocument>,
) -> Result<SectionSummary> {
    let section = BackupSection {
        object: subject.object.clone(),
        stream: subject.stream.clone(),
        document,
    };
    writer.section(section).await?;
    let mut cells = CellScan::start(&context.store, &subject.stream, ReadFrom::Seq(0));
    let (mut count, mut hash) = (Revision::START, RollingHash::new());
    while let Some(page) = cells.next().await? {
        context.stop.check()?;
        for cell in page.cells {
            if cell.events.len() as u64 != cell.header.count {
                let message = format!("cell {} was deleted: {}", cell.header.seq, subject.stream);
                return Err(Error::new(ErrorKind::Gone, message));
            }
            let events: Vec<Event> = cell.events.into_iter().map(|e| e.event).collect();
            events.iter().for_each(|event| hash.add(event));
            count = count.plus(events.len() as u64);
            writer.events(&events).await?;
            context
                .reporter
                .update(|p| p.events_backed_up += events.len() as u64);
        }
    }
    let summary = SectionSummary {
        events: count.0,
        hash: hash.to_string(),
    };
    writer.end(summary.clone()).await?;
    Ok(summary)
}

/// Reads a backup to its end and answers what its sections really hold.
///
/// # Errors
/// `Corrupt` when a section does not hold what its summary says; those of the provider.
pub(crate) async fn read_sections(reader: &mut dyn BackupReader) -> Result<Vec<SectionSummary>> {
    let (mut count, mut hash) = (0, RollingHash::new());
    let mut summaries = Vec::new();
    while let Some(item) = reader.next().await? {
        match item {
            BackupItem::Section(_) => (count, hash) = (0, RollingHash::new()),
            BackupItem::Events(events) => {
                count += events.len() as u64;
                events.iter().for_each(|event| hash.add(event));
            }
            BackupItem::End(summary) => {
                let found = SectionSummary {
                    events: count,
                    hash: hash.to_string(),
                };
                if found != summary {
                    let message = format!(
                        "backup {}, section {}: the events are not those that its summary counts",
                        reader.manifest().id,
                        summaries.len()
                    );
                    return Err(Error::corrupt(message));
                }
                summaries.push(found);
            }
        }
    }
    Ok(summaries)
}
