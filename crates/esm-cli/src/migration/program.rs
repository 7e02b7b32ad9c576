//! The jq program of a migration: read from a file once, then kept in the annotations of its plan, so
//! that `resume` needs no file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use esm_core::migration::MigrationBuilder;
use esm_core::transform::{EventTransformer, Identity, MaskingKey};
use esm_core::{Error, Result};
use esm_jq::JqTransformer;
use esm_view::migration::{DOWN, TRANSFORM};

use crate::exit;

/// A jq program and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    name: String,
    text: String,
}

/// What a plan has a program for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The transformation.
    Transform,
    /// The way back that is declared beforehand.
    Down,
}

impl Role {
    /// Keys of the annotations with the program's name and text. Journals and saved plans hold them.
    fn keys(self) -> [&'static str; 2] {
        match self {
            Self::Transform => TRANSFORM,
            Self::Down => DOWN,
        }
    }
}

impl Program {
    /// Reads a program from a file.
    ///
    /// # Errors
    /// `NotFound` and other errors of the file system; `Invalid` if the file is not UTF-8.
    pub(crate) async fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let bytes = tokio::fs::read(path).await;
        let bytes = bytes.map_err(|e| exit::io(format_args!("reading {shown}"), e))?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            Error::invalid(format!("jq program is not UTF-8 at byte {at}: {shown}"))
                .with_hint("save the program as UTF-8 text")
        })?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            text,
        })
    }

    /// The program that a plan has for a role, if any.
    pub(crate) fn of_plan(annotations: &BTreeMap<String, String>, role: Role) -> Option<Self> {
        let [name, text] = role.keys();
        Some(Self {
            text: annotations.get(text)?.clone(),
            name: annotations.get(name).cloned().unwrap_or_default(),
        })
    }

    /// The annotations that keep the program in a plan.
    pub(crate) fn annotations(&self, role: Role) -> [(&'static str, &str); 2] {
        let [name, text] = role.keys();
        [(name, &self.name), (text, &self.text)]
    }

    /// Keeps the program in the plan of a migration.
    pub(crate) fn annotate(&self, role: Role, builder: MigrationBuilder) -> MigrationBuilder {
        let annotations = self.annotations(role).into_iter();
        annotations.fold(builder, |builder, (key, value)| {
            builder.annotate(key, value)
        })
    }

    /// Compiles the program, with the key of its pseudonyms if one is given.
    ///
    /// # Errors
    /// `Invalid`, with line and column.
    pub(crate) fn compile(&self, key: Option<&MaskingKey>) -> Result<Arc<dyn EventTransformer>> {
        let (name, text) = (&self.name, &self.text);
        Ok(Arc::new(match key {
            Some(key) => JqTransformer::compile_with_key(name, text, key)?,
            None => JqTransformer::compile(name, text)?,
        }))
    }
}

/// The transformation of a plan: its program, or the identity.
///
/// # Errors
/// Those of [`Program::compile`].
pub(crate) fn transformation(
    annotations: &BTreeMap<String, String>,
    key: Option<&MaskingKey>,
) -> Result<Arc<dyn EventTransformer>> {
    match Program::of_plan(annotations, Role::Transform) {
        Some(program) => program.compile(key),
        None => Ok(Arc::new(Identity)),
    }
}
