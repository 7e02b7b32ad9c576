//! Objects into a backup.

use std::sync::Arc;

use esm_core::event::Event;
use esm_core::store::{
    BackupDraft, BackupManifest, BackupProvider, BackupSection, BackupWriter, SectionSummary,
};
use esm_core::verify::RollingHash;
use esm_core::{Error, Result};
use futures::TryStreamExt as _;

use crate::progress::Progress;
use crate::selection::Objects;
use crate::session::Session;
use crate::stream::{self, OpenedObject};

/// Writes the objects' active streams as one backup, in constant memory.
///
/// # Errors
/// `AlreadyExists` when the name is taken; `NotFound` for a selection without objects; those of
/// store and provider. What was written by then is no backup and is never seen as one.
pub(crate) async fn create(
    session: &Session,
    backups: &Arc<dyn BackupProvider>,
    draft: BackupDraft,
    objects: Objects<'_>,
    progress: &Progress,
) -> Result<BackupManifest> {
    let documents = draft.settings.content.documents;
    let mut writer = backups.create(draft).await?;
    let mut opened = stream::open_all(session, objects);
    let (mut sections, mut done) = (0_u64, 0);
    while let Some(mut object) = opened.try_next().await? {
        progress.about(&object.object.to_string());
        begin(writer.as_mut(), &object, documents).await?;
        let mut count = 0;
        let mut hash = RollingHash::new();
        while let Some(page) = object.events.next_page().await? {
            session.interrupt().check()?;
            let events: Vec<Event> = page.into_iter().map(|(_, event)| event).collect();
            events.iter().for_each(|event| hash.add(event));
            writer.events(&events).await?;
            count += events.len() as u64;
            progress.at(done + count);
        }
        let summary = SectionSummary {
            events: count,
            hash: hash.to_string(),
        };
        writer.end(summary).await?;
        done += count;
        sections += 1;
    }
    if sections == 0 {
        return Err(Error::not_found("no such objects; no backup was written"));
    }
    writer.finish().await
}

async fn begin(
    writer: &mut dyn BackupWriter,
    object: &OpenedObject<'_>,
    documents: bool,
) -> Result<()> {
    let section = BackupSection {
        object: object.object.clone(),
        stream: object.stream.clone(),
        document: documents.then(|| object.document.clone()),
    };
    writer.section(section).await
}
