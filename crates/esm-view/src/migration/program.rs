//! The program of a migration, as the annotations of its plan keep it: so `resume` needs no file.

use std::collections::BTreeMap;
use std::sync::Arc;

use esm_core::transform::{EventTransformer, Identity, MaskingKey};
use esm_core::{Error, Result};
use esm_jq::{JqTransformer, compile_upcasters};
use serde::{Deserialize, Serialize};

/// The text of a transformation, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    name: String,
    source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// A jq program.
    Jq(String),
    /// A jq program for each step.
    Upcasters(Vec<ProgramFile>),
}

/// A file with a jq program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramFile {
    /// The name of the file, without its directory.
    pub file: String,
    /// The program.
    pub program: String,
}

/// What a plan has a program for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The transformation.
    Transform,
    /// The way back that is declared beforehand.
    Down,
}

/// Keys of annotations. Journals and saved plans hold them.
struct Keys {
    name: &'static str,
    jq: &'static str,
    upcasters: &'static str,
}

impl Role {
    fn keys(self) -> Keys {
        match self {
            Self::Transform => Keys {
                name: "esm.transform.name",
                jq: "esm.transform.jq",
                upcasters: "esm.transform.upcasters",
            },
            Self::Down => Keys {
                name: "esm.down.name",
                jq: "esm.down.jq",
                upcasters: "esm.down.upcasters",
            },
        }
    }
}

impl Program {
    /// A jq program.
    pub fn jq(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            source: Source::Jq(text.into()),
        }
    }

    /// Upcasters: a jq program for each step, which the name of its file says.
    pub fn upcasters(name: impl Into<String>, files: Vec<ProgramFile>) -> Self {
        Self {
            name: name.into(),
            source: Source::Upcasters(files),
        }
    }

    /// Returns the program that a plan has for a role, if any.
    ///
    /// # Errors
    /// `Corrupt` for upcasters that cannot be read.
    pub fn of_plan(annotations: &BTreeMap<String, String>, role: Role) -> Result<Option<Self>> {
        let keys = role.keys();
        let name = || annotations.get(keys.name).cloned().unwrap_or_default();
        if let Some(text) = annotations.get(keys.jq) {
            return Ok(Some(Self::jq(name(), text)));
        }
        let Some(text) = annotations.get(keys.upcasters) else {
            return Ok(None);
        };
        let files = serde_json::from_str(text).map_err(|e| {
            let key = keys.upcasters;
            Error::corrupt(format!("the plan's upcasters cannot be read: {key}: {e}"))
        })?;
        Ok(Some(Self::upcasters(name(), files)))
    }

    /// Removes the program of a role from the annotations of a plan.
    pub fn forget(annotations: &mut BTreeMap<String, String>, role: Role) {
        let Keys {
            name,
            jq,
            upcasters,
        } = role.keys();
        for key in [name, jq, upcasters] {
            annotations.remove(key);
        }
    }

    /// Returns the annotations that keep the program in a plan.
    pub fn annotations(&self, role: Role) -> [(&'static str, String); 2] {
        let keys = role.keys();
        let source = match &self.source {
            Source::Jq(text) => (keys.jq, text.clone()),
            Source::Upcasters(files) => {
                let text = serde_json::to_string(files);
                let text = text.unwrap_or_else(|_| unreachable!("texts are JSON"));
                (keys.upcasters, text)
            }
        };
        [(keys.name, self.name.clone()), source]
    }

    /// The name: that of the file or of the directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The texts, each with the name of its file.
    pub fn files(&self) -> Vec<(&str, &str)> {
        match &self.source {
            Source::Jq(text) => vec![(&self.name, text)],
            Source::Upcasters(files) => files
                .iter()
                .map(|file| (&*file.file, &*file.program))
                .collect(),
        }
    }

    /// Compiles the program, with the key of its pseudonyms if one is given.
    ///
    /// # Errors
    /// `Invalid`, with file, line and column; for upcasters also those of
    /// [`compile_upcasters`].
    pub fn compile(&self, key: Option<&MaskingKey>) -> Result<Arc<dyn EventTransformer>> {
        let (name, text) = match &self.source {
            Source::Jq(text) if self.name.is_empty() => ("program", text),
            Source::Jq(text) => (&*self.name, text),
            Source::Upcasters(_) => return Ok(Arc::new(compile_upcasters(self.files(), key)?)),
        };
        Ok(Arc::new(match key {
            Some(key) => JqTransformer::compile_with_key(name, text, key)?,
            None => JqTransformer::compile(name, text)?,
        }))
    }
}

/// Returns the transformation of a plan: its program, or the identity.
///
/// # Errors
/// Those of [`Program::of_plan`] and of [`Program::compile`].
pub fn transformation(
    annotations: &BTreeMap<String, String>,
    key: Option<&MaskingKey>,
) -> Result<Arc<dyn EventTransformer>> {
    match Program::of_plan(annotations, Role::Transform)? {
        Some(program) => program.compile(key),
        None => Ok(Arc::new(Identity)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(program: &Program, role: Role) -> BTreeMap<String, String> {
        let annotations = program.annotations(role).into_iter();
        annotations
            .map(|(key, text)| (key.to_owned(), text))
            .collect()
    }

    fn upcasters() -> Program {
        let file = |file: &str, program: &str| ProgramFile {
            file: file.to_owned(),
            program: program.to_owned(),
        };
        let files = vec![
            file("A.v1-v2.jq", ".data.a = \"é\\n\""),
            file("A.v2-v3.jq", "."),
        ];
        Program::upcasters("steps", files)
    }

    #[test]
    fn a_plan_returns_the_program_that_it_keeps() -> Result<()> {
        for program in [Program::jq("v2.jq", "select(.a)"), upcasters()] {
            for role in [Role::Transform, Role::Down] {
                let mut plan = kept(&program, role);
                assert_eq!(Program::of_plan(&plan, role)?, Some(program.clone()));
                Program::forget(&mut plan, role);
                assert!(plan.is_empty(), "{plan:?}");
                assert_eq!(Program::of_plan(&plan, role)?, None);
            }
        }
        Ok(())
    }

    #[test]
    fn the_keys_of_a_program_are_those_of_stored_plans() {
        let plan = kept(&Program::jq("v2.jq", "."), Role::Transform);
        let keys: Vec<_> = plan.keys().map(String::as_str).collect();
        assert_eq!(keys, ["esm.transform.jq", "esm.transform.name"]);
        let plan = kept(&upcasters(), Role::Transform);
        let keys: Vec<_> = plan.keys().map(String::as_str).collect();
        assert_eq!(keys, ["esm.transform.name", "esm.transform.upcasters"]);
        assert_eq!(
            plan["esm.transform.upcasters"],
            r#"[{"file":"A.v1-v2.jq","program":".data.a = \"é\\n\""},{"file":"A.v2-v3.jq","program":"."}]"#
        );
    }

    #[test]
    fn upcasters_that_cannot_be_read_are_corrupt() {
        let mut plan = kept(&upcasters(), Role::Transform);
        plan.insert("esm.transform.upcasters".to_owned(), "[1]".to_owned());
        let error = transformation(&plan, None).unwrap_err();
        assert_eq!(*error.kind(), esm_core::ErrorKind::Corrupt);
    }

    #[test]
    fn every_file_is_part_of_the_fingerprint() -> Result<()> {
        let before = upcasters().compile(None)?.fingerprint();
        let mut changed = upcasters();
        if let Source::Upcasters(files) = &mut changed.source {
            files[1].program = ". # changed".to_owned();
        }
        assert_ne!(changed.compile(None)?.fingerprint(), before);
        Ok(())
    }
}
