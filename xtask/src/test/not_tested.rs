//! What a run could not test, by name: never skipped silently.
//!
//! A test that needs what the machine does not have says so by `esm_testkit::not_tested`, which
//! writes a file into the directory that `ESM_NOT_TESTED` names: the file's name says what was not
//! tested, its content why.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::project;

/// The directory that tests write into.
#[derive(Debug)]
pub(crate) struct NotTested(PathBuf);

impl NotTested {
    /// The variable that names the directory.
    pub(crate) const VARIABLE: &str = "ESM_NOT_TESTED";

    /// An empty directory for this run.
    pub(crate) fn fresh() -> Result<Self> {
        let directory = project::target().join("not-tested");
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        Ok(Self(directory))
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Path {
        &self.0
    }

    /// Prints what was noted down, or that everything was tested.
    pub(crate) fn print(&self) -> Result<()> {
        let lines = self.lines()?;
        if lines.is_empty() {
            println!("not tested: nothing was left out");
        } else {
            println!("not tested:\n{}", lines.join("\n"));
        }
        Ok(())
    }

    fn lines(&self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let why = fs::read_to_string(entry.path())?;
            let name = entry.file_name();
            lines.push(format!("  {}: {}", name.to_string_lossy(), why.trim()));
        }
        lines.sort();
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_tested_is_told_by_name() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let not_tested = NotTested(directory.path().to_owned());
        assert_eq!(not_tested.lines()?, [""; 0]);
        fs::write(directory.path().join("S3"), "no python\n")?;
        fs::write(directory.path().join("Azure"), "no npm")?;
        assert_eq!(not_tested.lines()?, ["  Azure: no npm", "  S3: no python"]);
        Ok(())
    }
}
