//! The jq program of a migration: read once, then kept in its plan, so that whoever resumes it
//! needs no file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use esm_core::transform::{EventTransformer, Identity};
use esm_core::{Error, Result};
use esm_jq::JqTransformer;

use crate::exit;

/// A jq program and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    name: String,
    text: String,
}

const NAME: &str = "esm.transform.name";
const TEXT: &str = "esm.transform.jq";
const DOWN_NAME: &str = "esm.down.name";
const DOWN_TEXT: &str = "esm.down.jq";

impl Program {
    /// Reads a program from a file.
    ///
    /// # Errors
    /// `NotFound` and others of the operating system; `Invalid` for one that is not UTF-8.
    pub(crate) async fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let bytes = tokio::fs::read(path).await;
        let bytes = bytes.map_err(|e| exit::io(format_args!("reading {shown}"), e))?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            Error::invalid(format!("jq program is not UTF-8, at byte {at}: {shown}"))
        })?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            text,
        })
    }

    /// The program of a plan; absent where events stay as they are.
    pub(crate) fn of_annotations(annotations: &BTreeMap<String, String>) -> Option<Self> {
        Some(Self {
            text: annotations.get(TEXT)?.clone(),
            name: annotations.get(NAME).cloned().unwrap_or_default(),
        })
    }

    /// What a plan keeps of it.
    pub(crate) fn annotations(&self) -> [(String, String); 2] {
        [
            (NAME.to_owned(), self.name.clone()),
            (TEXT.to_owned(), self.text.clone()),
        ]
    }

    /// The program of the way back in a plan; absent where none was declared.
    pub(crate) fn down_of_annotations(annotations: &BTreeMap<String, String>) -> Option<Self> {
        Some(Self {
            text: annotations.get(DOWN_TEXT)?.clone(),
            name: annotations.get(DOWN_NAME).cloned().unwrap_or_default(),
        })
    }

    /// What a plan keeps of it where it is the program of the way back.
    pub(crate) fn down_annotations(&self) -> [(String, String); 2] {
        [
            (DOWN_NAME.to_owned(), self.name.clone()),
            (DOWN_TEXT.to_owned(), self.text.clone()),
        ]
    }

    /// Compiles it.
    ///
    /// # Errors
    /// `Invalid`, with line and column.
    pub(crate) fn compile(&self) -> Result<Arc<dyn EventTransformer>> {
        Ok(Arc::new(JqTransformer::compile(&self.name, &self.text)?))
    }
}

/// The transformer of an optional program.
///
/// # Errors
/// Those of [`Program::compile`].
pub(crate) fn transformer(program: Option<&Program>) -> Result<Arc<dyn EventTransformer>> {
    match program {
        Some(program) => program.compile(),
        None => Ok(Arc::new(Identity)),
    }
}
