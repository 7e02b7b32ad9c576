//! The backup provider.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::id::BackupId;
use esm_core::store::{BackupDraft, BackupManifest, BackupProvider, BackupReader, BackupWriter};
use esm_core::{Error, Result};
use esm_format::backup::{BackupDecoder, BackupEncoder};
use futures::future;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;

use super::files::{self, FileWriter};
use super::manifest::{self, Files};
use super::streams::{ObjectBackupReader, ObjectBackupWriter, taken};
use crate::backend::Backend;

/// How many manifests are read at once when all are listed.
const LIST_WIDTH: usize = 8;

/// Backups and archives over an object store.
#[derive(Debug)]
pub(crate) struct ObjectBackups {
    backend: Arc<Backend>,
}

impl ObjectBackups {
    pub(crate) fn new(backend: Arc<Backend>) -> Self {
        Self { backend }
    }

    async fn find(&self, id: &BackupId) -> Result<(BackupManifest, Files, Path)> {
        let folder = self.backend.layout().backup(id);
        let key = manifest::key(&folder);
        let bytes = self.backend.get(&key).await?.ok_or_else(|| {
            Error::not_found(format!(
                "no such backup: {id} in {}",
                self.backend.location()
            ))
        })?;
        let (manifest, files) = manifest::decode(&bytes, Some(id)).map_err(|e| self.at(e, &key))?;
        Ok((manifest, files, folder))
    }

    fn at(&self, error: Error, key: &Path) -> Error {
        error.context(format!("backup {}", self.backend.place(key)))
    }
}

#[async_trait]
impl BackupProvider for ObjectBackups {
    fn name(&self) -> &str {
        "object store"
    }

    async fn create(&self, draft: BackupDraft) -> Result<Box<dyn BackupWriter>> {
        self.backend.check_writable()?;
        let folder = self.backend.layout().backup(&draft.id);
        let key = manifest::key(&folder);
        if self.backend.exists(&key).await? {
            return Err(taken(&self.backend, &key));
        }
        let files = Files::new(self.backend.environment().uuid_v4());
        let file =
            |name: &String| FileWriter::new(&self.backend, folder.clone().join(name.as_str()));
        let encoder = BackupEncoder::new(draft, file(&files.events), file(&files.sections))?;
        Ok(Box::new(ObjectBackupWriter {
            backend: Arc::clone(&self.backend),
            folder,
            files,
            encoder,
        }))
    }

    async fn manifest(&self, id: &BackupId) -> Result<BackupManifest> {
        Ok(self.find(id).await?.0)
    }

    async fn open(&self, id: &BackupId) -> Result<Box<dyn BackupReader>> {
        let (manifest, names, folder) = self.find(id).await?;
        let sums = &manifest.checksums;
        let file = |name: String, size| files::open(&self.backend, folder.clone().join(name), size);
        let events = file(names.events, sums.stored_bytes).await?;
        let sections = file(names.sections, sums.sections_bytes).await?;
        let decoder = BackupDecoder::new(manifest, events, sections)?;
        Ok(Box::new(ObjectBackupReader {
            place: self.backend.place(&folder),
            decoder,
        }))
    }

    fn list(&self) -> BoxStream<'_, Result<BackupManifest>> {
        let backups = self.backend.layout().backups();
        self.backend
            .list(&backups)
            .try_filter(move |object| {
                future::ready(manifest::is_manifest(&object.location, &backups))
            })
            .map_ok(move |object| async move {
                let key = object.location;
                let Some(bytes) = self.backend.get(&key).await? else {
                    return Ok(None);
                };
                let manifest = manifest::decode(&bytes, None).map_err(|e| self.at(e, &key))?;
                Ok(Some(manifest.0))
            })
            .try_buffered(LIST_WIDTH)
            .try_filter_map(future::ok)
            .boxed()
    }

    async fn delete(&self, id: &BackupId) -> Result<()> {
        self.backend.check_writable()?;
        let folder = self.backend.layout().backup(id);
        // from here on it is no backup, whatever becomes of the rest
        self.backend.delete([manifest::key(&folder)]).await?;
        let rest: Vec<Path> = self
            .backend
            .list(&folder)
            .map_ok(|object| object.location)
            .try_collect()
            .await?;
        self.backend.delete(rest).await
    }
}
