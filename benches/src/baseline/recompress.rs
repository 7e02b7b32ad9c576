//! Copying a row of files: read, decompress, compress, write.
//!
//! As any copier that is worth its name it reads ahead: one task reads and decompresses while
//! another compresses and writes, durably, one file after the other.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, PutMode};
use tokio::sync::mpsc;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const READ_AHEAD: usize = 4;

/// Copies files, in order, into an empty directory; returns their uncompressed size in bytes.
///
/// A file is a first line and a body, compressed with zstd or not; the body alone is compressed.
pub(crate) async fn recompress(files: Vec<PathBuf>, to: &Path, level: i32) -> Result<u64> {
    let store = LocalFileSystem::new_with_prefix(to)?.with_fsync(true);
    let (sender, mut bodies) = mpsc::channel(READ_AHEAD);
    let reader = tokio::task::spawn_blocking(move || -> Result<()> {
        for file in files {
            let body = unpacked(&std::fs::read(&file)?)
                .with_context(|| format!("cannot unpack {}", file.display()))?;
            if sender.blocking_send(body).is_err() {
                break;
            }
        }
        Ok(())
    });
    let mut bytes = 0;
    let mut number = 0_u64;
    while let Some(body) = bodies.recv().await {
        bytes += body.len() as u64;
        let compress = move || zstd::bulk::compress(&body, level);
        let packed = tokio::task::spawn_blocking(compress).await??;
        let key = Key::from(format!("c/{number:020}"));
        let mode = PutMode::Create.into();
        store.put_opts(&key, packed.into(), mode).await?;
        number += 1;
    }
    reader.await??;
    Ok(bytes)
}

fn unpacked(file: &[u8]) -> Result<Vec<u8>> {
    let end = file.iter().position(|byte| *byte == b'\n');
    let body = &file[end.map_or(0, |end| end + 1)..];
    if body.starts_with(&MAGIC) {
        Ok(zstd::decode_all(body)?)
    } else {
        Ok(body.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_are_copied_whole() -> Result<()> {
        let (from, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let body = "event\n".repeat(100);
        let mut packed = b"first line\n".to_vec();
        packed.extend(zstd::encode_all(body.as_bytes(), 1)?);
        let files = [("0", packed), ("1", format!("first\n{body}").into_bytes())];
        let mut paths = Vec::new();
        for (name, content) in files {
            paths.push(from.path().join(name));
            std::fs::write(from.path().join(name), content)?;
        }

        let bytes = recompress(paths, to.path(), 1).await?;
        assert_eq!(bytes, 2 * body.len() as u64);
        let copy = std::fs::read(to.path().join("c/00000000000000000001"))?;
        assert_eq!(zstd::decode_all(&*copy)?, body.as_bytes());
        Ok(())
    }
}
