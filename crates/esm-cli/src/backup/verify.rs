//! Reading a whole backup, and comparing it with what it says of itself.

use std::sync::Arc;

use esm_core::id::BackupId;
use esm_core::store::{BackupItem, BackupManifest, BackupProvider};
use esm_core::verify::RollingHash;
use esm_core::{Error, Result};

use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// What was found in a backup.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) manifest: BackupManifest,
    pub(crate) sections: u64,
    pub(crate) events: u64,
}

/// Reads a backup to its end: checksums, and each section's count and hash.
///
/// # Errors
/// `NotFound`; `Corrupt`, naming what is wrong.
pub(crate) async fn verify(
    backups: &Arc<dyn BackupProvider>,
    id: &BackupId,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Verified> {
    let mut reader = backups.open(id).await?;
    let (mut sections, mut events) = (0, 0);
    let mut hash = RollingHash::new();
    let mut in_section = 0;
    while let Some(item) = reader.next().await? {
        interrupt.check()?;
        match item {
            BackupItem::Section(section) => {
                progress.about(&section.object.to_string());
                hash = RollingHash::new();
                in_section = 0;
            }
            BackupItem::Events(page) => {
                page.iter().for_each(|event| hash.add(event));
                in_section += page.len() as u64;
                events += page.len() as u64;
                progress.at(events);
            }
            BackupItem::End(summary) => {
                if summary.events != in_section || summary.hash != hash.to_string() {
                    return Err(Error::corrupt(format!(
                        "backup {id}: section {sections} does not hold what its summary says"
                    )));
                }
                sections += 1;
            }
        }
    }
    let manifest = reader.manifest().clone();
    if manifest.sections != sections || manifest.events != events {
        return Err(Error::corrupt(format!(
            "backup {id}: its manifest says {} events in {} sections, found {events} in {sections}",
            manifest.events, manifest.sections
        )));
    }
    Ok(Verified {
        manifest,
        sections,
        events,
    })
}
