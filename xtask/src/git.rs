//! What git says of the project.

use std::path::PathBuf;

use anyhow::Result;

use crate::{command, project};

/// The files under version control, and new ones that are not ignored; relative to the root.
pub(crate) fn files() -> Result<Vec<PathBuf>> {
    let list = command::output(command::new("git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let mut files: Vec<PathBuf> = list.lines().map(PathBuf::from).collect();
    files.retain(|file| project::root().join(file).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}
