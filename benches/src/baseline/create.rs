//! Creating files of given sizes in given directories.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, PutMode};

/// A file that something else created: where, and its content.
#[derive(Debug, Clone)]
pub(crate) struct NewFile {
    key: Key,
    content: Bytes,
}

/// The files below a directory that are not among those known, with their contents.
pub(crate) fn new_files(root: &Path, known: &BTreeSet<PathBuf>) -> Result<Vec<NewFile>> {
    let mut found = Vec::new();
    for path in files(root)? {
        if !known.contains(&path) {
            let content = std::fs::read(root.join(&path))?.into();
            let key = Key::from_iter(path.iter().map(|part| part.to_string_lossy().into_owned()));
            found.push(NewFile { key, content });
        }
    }
    Ok(found)
}

/// The files below a directory, relative to it.
pub(crate) fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path)
            } else {
                found.insert(path.strip_prefix(root)?.to_owned());
            }
        }
    }
    Ok(found)
}

/// Creates the same files in an empty directory, durably, this many at a time.
pub(crate) async fn create_files(root: &Path, files: &[NewFile], concurrency: usize) -> Result<()> {
    let store = Arc::new(LocalFileSystem::new_with_prefix(root)?.with_fsync(true));
    stream::iter(files.iter().cloned())
        .map(|file| {
            let store = Arc::clone(&store);
            async move {
                let mode = PutMode::Create.into();
                store.put_opts(&file.key, file.content.into(), mode).await
            }
        })
        .buffer_unordered(concurrency)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_new_is_created_again_elsewhere() -> Result<()> {
        let (from, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
        std::fs::create_dir_all(from.path().join("a/b"))?;
        std::fs::write(from.path().join("a/old"), "1")?;
        let known = files(from.path())?;
        std::fs::write(from.path().join("a/b/new"), "22")?;

        let new = new_files(from.path(), &known)?;
        create_files(to.path(), &new, 4).await?;
        assert_eq!(files(to.path())?, BTreeSet::from(["a/b/new".into()]));
        assert_eq!(std::fs::read_to_string(to.path().join("a/b/new"))?, "22");
        Ok(())
    }
}
