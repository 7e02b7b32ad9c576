//! Installing what a server needs, once, below `target/servers`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::project;

/// The directory of `package`, filled by `install` if that has not succeeded before.
///
/// The directory's name is the package and its version, so that a new version is installed beside
/// the old one; a marker that is written last tells a finished installation from a broken one.
pub(super) fn once(package: &str, install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let directory = project::target().join("servers").join(package);
    let marker = directory.join("installed");
    if marker.exists() {
        return Ok(directory);
    }
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    println!("installing {package} in {}", directory.display());
    install(&directory).with_context(|| format!("cannot install {package}"))?;
    fs::write(&marker, "")?;
    Ok(directory)
}
