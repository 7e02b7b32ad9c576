//! Writing and reading one backup.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::event::Event;
use esm_core::store::{
    BackupItem, BackupManifest, BackupReader, BackupSection, BackupWriter, SectionSummary,
};
use esm_core::{Error, ErrorKind, Result};
use esm_format::backup::{BackupDecoder, BackupEncoder};

use super::files::FileReader;
use super::manifest::{self, Files};
use crate::backend::{Backend, Creation};
use crate::key::Key;
use crate::objects::Upload;

/// Writes one backup.
pub(super) struct ObjectBackupWriter {
    pub(super) backend: Arc<Backend>,
    pub(super) folder: Key,
    pub(super) files: Files,
    pub(super) encoder: BackupEncoder<Upload, Upload>,
}

impl fmt::Debug for ObjectBackupWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBackupWriter")
            .field("folder", &self.folder)
            .field("encoder", &self.encoder)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl BackupWriter for ObjectBackupWriter {
    async fn section(&mut self, section: BackupSection) -> Result<()> {
        self.encoder.section(section).await
    }

    async fn events(&mut self, events: &[Event]) -> Result<()> {
        self.encoder.events(events).await
    }

    async fn end(&mut self, summary: SectionSummary) -> Result<()> {
        self.encoder.end(summary).await
    }

    async fn finish(self: Box<Self>) -> Result<BackupManifest> {
        let Self {
            backend,
            folder,
            files,
            encoder,
        } = *self;
        let (manifest, _, _) = encoder.finish().await?;
        let key = manifest::key(&folder);
        let body = manifest::encode(&manifest, &files)?;
        let is_mine = |found: &Bytes| {
            let (_, found) = manifest::decode(found)
                .map_err(|e| e.context(format!("backup {}", backend.place(&key))))?;
            Ok(found == files)
        };
        match backend.create(&key, &body, is_mine).await? {
            Creation::Created if files.all_exist(&backend, &folder).await? => Ok(manifest),
            Creation::Created => {
                // deleted by its name after the files were written: not even the name is left
                backend.delete(files.keys(&folder)).await?;
                manifest::remove(&backend, &folder, Some(&files)).await?;
                let message = format!("backup was deleted meanwhile: {}", backend.place(&key));
                Err(Error::new(ErrorKind::Conflict { actual: None }, message)
                    .with_hint("create it again"))
            }
            Creation::Taken(_) => {
                // leftovers are harmless
                let _ = backend.delete(files.keys(&folder)).await;
                Err(taken(&backend, &key))
            }
        }
    }
}

/// The name of a backup is used already.
pub(super) fn taken(backend: &Backend, key: &Key) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        format!("backup exists already: {}", backend.place(key)),
    )
    .with_hint("give it another name; a backup is never overwritten")
}

/// Reads one backup.
pub(super) struct ObjectBackupReader {
    pub(super) place: String,
    pub(super) decoder: BackupDecoder<FileReader, FileReader>,
}

impl fmt::Debug for ObjectBackupReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBackupReader")
            .field("place", &self.place)
            .field("decoder", &self.decoder)
            .finish()
    }
}

#[async_trait]
impl BackupReader for ObjectBackupReader {
    fn manifest(&self) -> &BackupManifest {
        self.decoder.manifest()
    }

    async fn next(&mut self) -> Result<Option<BackupItem>> {
        let item = self.decoder.next().await;
        item.map_err(|e| e.context(format!("backup {}", self.place)))
    }
}
