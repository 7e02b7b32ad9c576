//! Writing a history: no line is lost that was written before the process died.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Entry;

/// A history that is being written.
#[derive(Debug)]
pub(crate) struct HistoryFile(File);

impl HistoryFile {
    /// A new one. Each process has a file of its own.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).open(path);
        Ok(Self(file.with_context(|| {
            format!("cannot create {}", path.display())
        })?))
    }

    /// Hands a line to the operating system, which keeps it whatever becomes of this process.
    pub(crate) fn write(&mut self, entry: &Entry) -> Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        Ok(self.0.write_all(&line)?)
    }
}
