//! The directory that the demo works in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::project;

/// Says that a directory is a demo's, so that the next one may begin by emptying it.
const MARKER: &str = ".esm-demo";

/// A fresh directory.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    /// The directory, empty. One that holds anything but an earlier demo is refused.
    pub(super) fn fresh(path: &Path) -> Result<Self> {
        let path = project::root().join(path);
        if path.join(MARKER).exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        if fs::read_dir(&path)?.next().is_some() {
            bail!(
                "not empty and no earlier demo; name another: {}",
                path.display()
            );
        }
        fs::write(path.join(MARKER), "")?;
        Ok(Self(path.canonicalize()?))
    }

    /// Something in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The same, as a URL.
    pub(super) fn url(&self, name: &str) -> String {
        let path = self.path(name).to_string_lossy().replace('\\', "/");
        let encoded: String = path
            .chars()
            .map(|c| match c {
                ' ' | '#' | '?' | '%' => format!("%{:02X}", u32::from(c)),
                c => c.to_string(),
            })
            .collect();
        format!("file://{encoded}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_earlier_demo_is_emptied() -> Result<()> {
        let temporary = tempfile::tempdir()?;
        let path = temporary.path().join("my demo");
        let directory = Directory::fresh(&path)?;
        assert!(directory.url("a#b").ends_with("my%20demo/a%23b"));
        fs::write(directory.path("x"), "")?;
        Directory::fresh(&path)?;
        assert!(!path.join("x").exists());

        fs::remove_file(path.join(MARKER))?;
        fs::write(path.join("precious"), "")?;
        assert!(Directory::fresh(&path).is_err());
        assert!(path.join("precious").exists());
        Ok(())
    }
}
