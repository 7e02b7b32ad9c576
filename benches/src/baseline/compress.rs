//! The zstd crate alone.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::Result;

/// Compresses chunks into one file, durably; returns its size.
pub(crate) fn compress_to_file(
    chunks: impl IntoIterator<Item = Vec<u8>>,
    file: &Path,
    level: i32,
) -> Result<u64> {
    let mut encoder = zstd::Encoder::new(File::create_new(file)?, level)?;
    for chunk in chunks {
        encoder.write_all(&chunk)?;
    }
    let written = encoder.finish()?;
    written.sync_all()?;
    if let Some(directory) = file.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(written.metadata()?.len())
}
