//! The backup provider.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::id::BackupId;
use esm_core::store::{
    BackupDraft, BackupManifest, BackupProvider, BackupReader, BackupSection, BackupWriter,
};
use esm_core::{Error, ErrorKind, Result};
use esm_format::backup::{BackupDecoder, BackupEncoder, SectionsDecoder};
use futures::future;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use super::files::{self, FileReader};
use super::manifest::{self, Files};
use super::streams::{ObjectBackupReader, ObjectBackupWriter, taken};
use crate::backend::Backend;
use crate::key::Key;

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

    async fn find(&self, id: &BackupId) -> Result<(BackupManifest, Files, Key)> {
        let folder = self.backend.layout().backup(id);
        let key = manifest::key(&folder);
        let bytes = self.backend.get(&key).await?.ok_or_else(|| {
            Error::not_found(format!(
                "no such backup: {id} in {}",
                self.backend.location()
            ))
        })?;
        let (manifest, files) = self.decode(&bytes, &key)?;
        Ok((manifest, files, folder))
    }

    /// Reads a manifest, which must be of the backup that its key is of.
    fn decode(&self, bytes: &[u8], key: &Key) -> Result<(BackupManifest, Files)> {
        let decoded = manifest::decode(bytes).and_then(|(manifest, files)| {
            let own = manifest::key(&self.backend.layout().backup(&manifest.id));
            if own == *key {
                return Ok((manifest, files));
            }
            let message = format!(
                "manifest says that it is of another backup: {}",
                manifest.id
            );
            Err(Error::corrupt(message))
        });
        decoded.map_err(|e| e.context(format!("backup {}", self.backend.place(key))))
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
        let file = |name: &String| self.backend.upload(&folder.clone().join(name));
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
        let file =
            |name: String, size| files::open(&self.backend, folder.clone().join(&name), size);
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
            .try_filter(move |key| future::ready(manifest::is_manifest(key, &backups)))
            .map_ok(move |key| async move {
                let Some(bytes) = self.backend.get(&key).await? else {
                    return Ok(None);
                };
                Ok(Some(self.decode(&bytes, &key)?.0))
            })
            .try_buffered(LIST_WIDTH)
            .try_filter_map(future::ok)
            .boxed()
    }

    fn sections(&self, id: &BackupId) -> BoxStream<'_, Result<BackupSection>> {
        let id = id.clone();
        let opening = None::<(Key, SectionsDecoder<FileReader>)>;
        stream::try_unfold(opening, move |opened| {
            let id = id.clone();
            async move {
                let (folder, mut decoder) = match opened {
                    Some(opened) => opened,
                    None => self.open_sections(&id).await?,
                };
                let section = decoder.next().await;
                let place = || format!("backup {}", self.backend.place(&folder));
                let section = section.map_err(|e| e.context(place()))?;
                Ok(section.map(|section| (section, Some((folder, decoder)))))
            }
        })
        .boxed()
    }

    async fn has_files(&self, id: &BackupId) -> Result<bool> {
        let (_, files, folder) = self.find(id).await?;
        files.any_exists(&self.backend, &folder).await
    }

    /// Removes the files that the manifest names, and then the manifest: a deletion that was
    /// interrupted is repeated under the same id. Other files in the folder may be those of a process
    /// that writes a backup of this id right now. They are removed where no manifest says which is
    /// which: what a crashed process left.
    async fn delete(&self, id: &BackupId) -> Result<()> {
        self.backend.check_writable()?;
        let folder = self.backend.layout().backup(id);
        match self.find(id).await {
            Ok((_, files, _)) => self.delete_named(&folder, &files).await,
            Err(e) if *e.kind() == ErrorKind::Corrupt => {
                self.delete_unnamed(&folder).await?;
                manifest::remove(&self.backend, &folder, None).await
            }
            Err(e) if *e.kind() == ErrorKind::NotFound => {
                self.delete_unnamed(&folder).await?;
                // its writer may have finished it meanwhile
                match self.find(id).await {
                    Ok((_, files, _)) if !files.all_exist(&self.backend, &folder).await? => {
                        self.delete_named(&folder, &files).await
                    }
                    _ => Ok(()),
                }
            }
            Err(e) => Err(e),
        }
    }

    /// Never removes files that no manifest names: they may be those of a process that writes a
    /// backup of this id, which nobody judged.
    async fn delete_unchanged(&self, judged: &BackupManifest) -> Result<bool> {
        self.backend.check_writable()?;
        let Some((files, folder)) = self.unchanged(judged).await? else {
            return Ok(false);
        };
        self.delete_named(&folder, &files).await?;
        Ok(true)
    }

    async fn delete_manifest(&self, judged: &BackupManifest) -> Result<bool> {
        self.backend.check_writable()?;
        let Some((files, folder)) = self.unchanged(judged).await? else {
            return Ok(false);
        };
        manifest::remove(&self.backend, &folder, Some(&files)).await?;
        Ok(true)
    }
}

impl ObjectBackups {
    async fn open_sections(&self, id: &BackupId) -> Result<(Key, SectionsDecoder<FileReader>)> {
        let (manifest, files, folder) = self.find(id).await?;
        let size = manifest.checksums.sections_bytes;
        let file = files::open(&self.backend, folder.clone().join(&files.sections), size).await?;
        Ok((folder, SectionsDecoder::new(manifest, file)?))
    }

    /// The files and the folder of a backup whose manifest is still this one.
    async fn unchanged(&self, judged: &BackupManifest) -> Result<Option<(Files, Key)>> {
        match self.find(&judged.id).await {
            Ok((found, files, folder)) => Ok((found == *judged).then_some((files, folder))),
            Err(e) if *e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    async fn delete_named(&self, folder: &Key, files: &Files) -> Result<()> {
        self.backend.delete(files.keys(folder)).await?;
        manifest::remove(&self.backend, folder, Some(files)).await
    }

    /// Removes all files of a folder but the manifest.
    async fn delete_unnamed(&self, folder: &Key) -> Result<()> {
        let all: Vec<Key> = self.backend.list(folder).try_collect().await?;
        let is_file = |key: &Key| *key != manifest::key(folder);
        self.backend.delete(all.into_iter().filter(is_file)).await
    }
}
