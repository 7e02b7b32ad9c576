//! Where things are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// Where cargo builds to.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Whether this is continuous integration: what cannot be had then is a failure.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}

/// The text of a file of the project.
pub(crate) fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(root().join(file))
        .with_context(|| format!("cannot read {}", file.display()))
}
