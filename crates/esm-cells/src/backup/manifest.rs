//! The manifest: the last object to be written, and the one that makes a backup of the others.

use bytes::Bytes;
use esm_core::store::BackupManifest;
use esm_core::{Error, Result};
use esm_format::backup::{
    EVENTS_FILE, MANIFEST_FILE, SECTIONS_FILE, decode_manifest, encode_manifest,
};
use esm_format::sealed;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::backend::Backend;
use crate::key::Key;

/// The names of a backup's data files. Each attempt to write one draws a nonce, so that two that
/// write the same backup never touch each other's files; the manifest says whose count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Files {
    pub(super) events: String,
    pub(super) sections: String,
}

impl Files {
    pub(super) fn new(nonce: Uuid) -> Self {
        Self {
            events: format!("{nonce}.{EVENTS_FILE}"),
            sections: format!("{nonce}.{SECTIONS_FILE}"),
        }
    }
}

impl Files {
    /// Whether one of them is there. None is if the backup was deleted while it was written.
    pub(super) async fn any_exists(&self, backend: &Backend, folder: &Key) -> Result<bool> {
        let [events, sections] = self.keys(folder);
        Ok(backend.exists(&events).await? || backend.exists(&sections).await?)
    }

    /// Whether both are there.
    pub(super) async fn all_exist(&self, backend: &Backend, folder: &Key) -> Result<bool> {
        let [events, sections] = self.keys(folder);
        Ok(backend.exists(&events).await? && backend.exists(&sections).await?)
    }

    pub(super) fn keys(&self, folder: &Key) -> [Key; 2] {
        [&self.events, &self.sections].map(|file| folder.clone().join(file))
    }
}

/// Removes a manifest that names these files, or that cannot be read if there are none. Another one
/// is of a backup that took the name meanwhile, and stays.
pub(super) async fn remove(backend: &Backend, folder: &Key, files: Option<&Files>) -> Result<()> {
    let key = key(folder);
    let Some(bytes) = backend.get(&key).await? else {
        return Ok(());
    };
    let found = decode(&bytes).ok().map(|(_, found)| found);
    if found.as_ref() == files {
        backend.delete([key]).await?;
    }
    Ok(())
}

/// The key of the manifest in a backup's folder.
pub(super) fn key(folder: &Key) -> Key {
    folder.clone().join(MANIFEST_FILE)
}

/// Whether a key is that of a manifest right below this folder's folders.
pub(super) fn is_manifest(key: &Key, backups: &Key) -> bool {
    key.name() == MANIFEST_FILE && key.below(backups).is_some_and(|parts| parts.count() == 2)
}

/// Writes a manifest together with the names of the files that it is about.
pub(super) fn encode(manifest: &BackupManifest, files: &Files) -> Result<Bytes> {
    let json = |e: serde_json::Error| {
        Error::invalid(format!("manifest cannot be written as JSON: {e}")).with_source(e)
    };
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&encode_manifest(manifest)?).map_err(json)?;
    manifest["files"] = serde_json::to_value(files).map_err(json)?;
    let mut out = sealed::seal(serde_json::to_vec_pretty(&manifest).map_err(json)?);
    out.push(b'\n');
    Ok(out.into())
}

/// Reads a manifest.
///
/// # Errors
/// `Corrupt`.
pub(super) fn decode(bytes: &[u8]) -> Result<(BackupManifest, Files)> {
    #[derive(Deserialize)]
    struct Stored {
        files: Files,
    }
    sealed::check(bytes)?;
    let manifest = decode_manifest(bytes)?;
    let stored: Stored = serde_json::from_slice(bytes)
        .map_err(|e| Error::corrupt("manifest names no files").with_source(e))?;
    Ok((manifest, stored.files))
}
