//! The files below a directory.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The paths of all files below a root, with `/` between their parts, in order.
pub(crate) fn below(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    collect(root, "", &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<String>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// The folders that such paths are in.
pub(crate) fn folders(paths: &[String]) -> BTreeSet<String> {
    let mut folders = BTreeSet::new();
    for path in paths {
        let slashes = path.match_indices('/');
        folders.extend(slashes.map(|(at, _)| path[..at].to_owned()));
    }
    folders
}

/// Copies all files below a root to another, which is emptied first.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    std::fs::create_dir_all(to)?;
    for path in below(from)? {
        restore(from, to, &path)?;
    }
    Ok(())
}

/// Makes one file as it is below the other root: the same bytes, or absent.
pub(crate) fn restore(from: &Path, to: &Path, path: &str) -> Result<()> {
    let (source, target) = (from.join(path), to.join(path));
    if !source.exists() {
        return match std::fs::remove_file(&target) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        };
    }
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::copy(&source, &target)
        .map(drop)
        .with_context(|| format!("cannot copy {}", source.display()))
}
