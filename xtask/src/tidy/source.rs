//! The project's text files.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{git, project};

/// A text file of the project.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the root.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Source {
    #[cfg(test)]
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.into(),
            text: text.to_owned(),
        }
    }

    /// Whether its name ends like this, after the dot.
    pub(super) fn is(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|e| e == extension)
    }

    /// The path with `/` between its parts.
    pub(super) fn name(&self) -> String {
        let parts: Vec<_> = self.path.iter().map(|p| p.to_string_lossy()).collect();
        parts.join("/")
    }

    /// A complaint about one of its lines, counted from 0.
    pub(super) fn at(&self, line: usize, complaint: &str) -> String {
        format!("{}:{}: {complaint}", self.name(), line + 1)
    }
}

/// All text files under version control, and new ones.
pub(super) fn all() -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in git::files()? {
        if is_text(&path) {
            let text = project::read(&path)?;
            sources.push(Source { path, text });
        }
    }
    Ok(sources)
}

fn is_text(path: &Path) -> bool {
    const EXTENSIONS: &[&str] = &[
        "cjs", "jq", "json", "lock", "md", "ndjson", "py", "rs", "sh", "snap", "toml", "txt", "yml",
    ];
    match path.extension() {
        Some(extension) => EXTENSIONS.iter().any(|known| extension == *known),
        None => path.starts_with(".ci") || path.to_string_lossy().starts_with("LICENSE"),
    }
}
