//! The manifest of a backup.

use bytes::Bytes;
use esm_core::store::{BackupManifest, NewerBackup};
use esm_core::{Error, Result};
use serde::Deserialize;

use super::MANIFEST_FILE;

/// Writes a manifest: JSON that people can read.
///
/// # Errors
/// `Invalid` when it cannot be written as JSON.
pub fn encode_manifest(manifest: &BackupManifest) -> Result<Bytes> {
    let mut json = serde_json::to_vec_pretty(manifest)
        .map_err(|e| Error::invalid(format!("manifest cannot be written: {e}")).with_source(e))?;
    json.push(b'\n');
    Ok(json.into())
}

/// Reads a manifest.
///
/// # Errors
/// `Corrupt` for what is no manifest or has a newer format than
/// [`BackupManifest::FORMAT`]; the latter with the source [`NewerBackup`].
pub fn decode_manifest(bytes: &[u8]) -> Result<BackupManifest> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let unreadable = |e: serde_json::Error| {
        Error::corrupt(format!("{MANIFEST_FILE} cannot be read: {e}")).with_source(e)
    };
    let version: Version = serde_json::from_slice(bytes).map_err(unreadable)?;
    if version.format > BackupManifest::FORMAT {
        return Err(newer(version.format));
    }
    serde_json::from_slice(bytes).map_err(unreadable)
}

/// The error for a backup of a newer format.
pub(super) fn newer(format: u32) -> Error {
    Error::corrupt(format!(
        "backup has the newer format {format}; this version reads up to {}",
        BackupManifest::FORMAT
    ))
    .with_source(NewerBackup)
    .with_hint("update esm")
}
