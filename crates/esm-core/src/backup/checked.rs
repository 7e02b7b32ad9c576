//! Reading a backup, and verifying its counts and hashes on the way.

use crate::RollingHash;
use crate::error::{Error, Result};
use crate::id::BackupId;
use crate::store::{
    BackupItem, BackupManifest, BackupProvider, BackupReader, BackupSection, SectionSummary,
};

/// What a backup holds, in 48 bytes however much it is: equal for what was written and what is read
/// back exactly if the same sections hold the same events in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Contents {
    pub(super) sections: u64,
    pub(super) events: u64,
    digest: [u8; 32],
}

impl Contents {
    /// Adds a section. Of its document only whether there is one: its text is the provider's to
    /// keep, and values read from it need not print the same.
    pub(super) fn add(&mut self, section: &BackupSection, summary: &SectionSummary) {
        let mut hash = blake3::Hasher::new();
        hash.update(&self.digest);
        let store = section.stream.store.to_string();
        let document = [u8::from(section.document.is_some())];
        for field in [
            section.object.to_string().as_bytes(),
            store.as_bytes(),
            section.stream.stream.as_str().as_bytes(),
            &document,
            &summary.events.to_le_bytes(),
            summary.hash.as_bytes(),
        ] {
            hash.update(&(field.len() as u64).to_le_bytes());
            hash.update(field);
        }
        self.digest = *hash.finalize().as_bytes();
        self.sections += 1;
        self.events += summary.events;
    }
}

/// A [`BackupReader`] that gives out a section's end only if its events are those that the end
/// counts, and ends itself only if all sections are there that the manifest counts.
#[derive(Debug)]
pub(super) struct CheckedReader {
    reader: Box<dyn BackupReader>,
    section: Option<Open>,
    contents: Contents,
}

#[derive(Debug)]
struct Open {
    section: Box<BackupSection>,
    events: u64,
    hash: RollingHash,
}

impl CheckedReader {
    /// # Errors
    /// Those of the provider.
    pub(super) async fn open(provider: &dyn BackupProvider, id: &BackupId) -> Result<Self> {
        Ok(Self {
            reader: provider.open(id).await?,
            section: None,
            contents: Contents::default(),
        })
    }

    pub(super) fn manifest(&self) -> &BackupManifest {
        self.reader.manifest()
    }

    /// What was read so far, in whole sections.
    pub(super) fn contents(&self) -> Contents {
        self.contents
    }

    /// Returns the next item; `None` at the end, after everything was verified.
    ///
    /// # Errors
    /// `Corrupt`, naming the backup and the section; those of the provider, in the same way.
    pub(super) async fn next(&mut self) -> Result<Option<BackupItem>> {
        let item = self
            .reader
            .next()
            .await
            .map_err(|e| e.context(self.place()))?;
        match &item {
            Some(BackupItem::Section(section)) => {
                if self.section.is_some() {
                    return Err(self.corrupt("another section begins before its end"));
                }
                self.section = Some(Open {
                    section: section.clone(),
                    events: 0,
                    hash: RollingHash::new(),
                });
            }
            Some(BackupItem::Events(events)) => {
                let Some(open) = &mut self.section else {
                    return Err(self.corrupt("events are in no section"));
                };
                open.events += events.len() as u64;
                events.iter().for_each(|event| open.hash.add(event));
            }
            Some(BackupItem::End(summary)) => self.end(summary)?,
            None => self.finish()?,
        }
        Ok(item)
    }

    fn end(&mut self, summary: &SectionSummary) -> Result<()> {
        let Some(open) = &self.section else {
            return Err(self.corrupt("a section ends that has not begun"));
        };
        if open.events != summary.events {
            let (found, stated) = (open.events, summary.events);
            return Err(self.corrupt(&format!(
                "it holds {found} events instead of {stated}, as its summary says"
            )));
        }
        if open.hash.to_string() != summary.hash {
            return Err(self.corrupt("its events have another hash than its summary says"));
        }
        self.contents.add(&open.section, summary);
        self.section = None;
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        if self.section.is_some() {
            return Err(self.corrupt("it has no end"));
        }
        let (manifest, found) = (self.manifest(), self.contents);
        for (what, found, stated) in [
            ("sections", found.sections, manifest.sections),
            ("events", found.events, manifest.events),
        ] {
            if found != stated {
                return Err(self.corrupt(&format!(
                    "it holds {found} {what} instead of {stated}, as its manifest says"
                )));
            }
        }
        Ok(())
    }

    /// Where the reader is, for messages.
    fn place(&self) -> String {
        let id = &self.manifest().id;
        match &self.section {
            Some(open) => format!(
                "backup {id}, section {} ({}, {})",
                self.contents.sections, open.section.object, open.section.stream
            ),
            None => format!("backup {id}"),
        }
    }

    fn corrupt(&self, what: &str) -> Error {
        Error::corrupt(format!("{}: {what}", self.place()))
            .with_hint("restore from another backup; this one can no longer be trusted")
    }
}
