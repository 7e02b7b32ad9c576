//! The licences of all that is linked into the binary.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::linked::{LinkedCrate, LinkedCrates};
use crate::project;

/// Beginnings of the names of files with a licence.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// Folders in a crate whose code is linked may be as deep.
const DEEPEST: usize = 4;

/// The parts that no crate describes.
const LIBRARIES: &str = "\
The binary also contains:

- the standard library of Rust, https://www.rust-lang.org, MIT OR Apache-2.0
- where its target is musl: musl libc, https://musl.libc.org, MIT,
  Copyright © 2005-2024 Rich Felker, et al.
- where its target is gnu: the GNU C library, https://www.gnu.org/software/libc, LGPL-2.1-or-later
- SQLite, https://sqlite.org, which is in the public domain

The text of the MIT licence:

";

const MIT: &str = "\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the \"Software\"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense,
and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so,
subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN
NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY,
WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
";

/// The licences of the crates of others, each text once.
///
/// # Errors
/// When a file cannot be read; for a crate that comes without its licence, if that is not one whose
/// text is known.
pub(super) fn text(linked: &LinkedCrates) -> Result<String> {
    let mut list = String::from("Crates that are linked into esm, with their licences:\n\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in linked.third_party() {
        let name = format!("{} {}", one.name, one.version);
        writeln!(list, "- {name}: {}", one.licence)?;
        for text in texts_of(one)? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    list.push('\n');
    list.push_str(LIBRARIES);
    list.push_str(MIT);
    for (text, mut crates) in texts {
        crates.dedup();
        let line = "=".repeat(80);
        write!(list, "\n{line}\n{}\n{line}\n\n{text}\n", crates.join(", "))?;
    }
    Ok(list)
}

/// The texts of a crate's licences.
fn texts_of(one: &LinkedCrate) -> Result<Vec<String>> {
    let mut files = Vec::new();
    find(&one.folder, 0, &mut files)?;
    files.sort();
    let mut texts = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
        texts.push(String::from_utf8_lossy(&bytes).trim_end().replace('\r', ""));
    }
    if texts.is_empty() {
        texts.push(known(one)?);
    }
    Ok(texts)
}

fn find(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy().to_uppercase();
        if entry.file_type()?.is_dir() {
            // what they hold is not linked
            let is_linked = !["TESTS", "BENCHES", "EXAMPLES", ".GIT"].contains(&&*name);
            if depth < DEEPEST && is_linked {
                find(&path, depth + 1, files)?;
            }
        } else if is_licence(&name) {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether a file has a licence, by its name in capitals: not `LICENSE.RS`, which is code.
fn is_licence(name: &str) -> bool {
    let is_code = [".RS", ".C", ".H", ".PY", ".GO", ".TOML"];
    NAMES.iter().any(|known| name.starts_with(known))
        && !is_code.iter().any(|code| name.ends_with(code))
}

/// The text of the licence of a crate that comes without it.
fn known(one: &LinkedCrate) -> Result<String> {
    let licences: Vec<_> = one.licence.split([' ', '/', '(', ')']).collect();
    if licences.contains(&"MIT") && !one.licence.contains("AND") {
        let authors = if one.authors.is_empty() {
            format!("the authors of {}", one.name)
        } else {
            one.authors.join(", ")
        };
        return Ok(format!("Copyright (c) {authors}\n\n{MIT}")
            .trim_end()
            .to_owned());
    }
    if licences.contains(&"Apache-2.0") && !one.licence.contains("AND") {
        return project::read(Path::new("LICENSE-APACHE"));
    }
    bail!(
        "a crate comes without the text of its licence, {}: {} {}",
        one.licence,
        one.name,
        one.version
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(licence: &str, folder: &Path) -> LinkedCrate {
        LinkedCrate {
            name: "a".to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.to_owned(),
            authors: vec!["Ann".to_owned()],
            repository: None,
            folder: folder.to_owned(),
            is_own: false,
            uses: Default::default(),
        }
    }

    #[test]
    fn the_texts_of_a_crate_are_found_and_each_is_printed_once() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let vendored = folder.path().join("vendored");
        std::fs::create_dir(&vendored)?;
        std::fs::write(folder.path().join("LICENSE-MIT"), "one\r\n")?;
        std::fs::write(vendored.join("copying"), "two")?;
        std::fs::write(vendored.join("license.rs"), "code")?;
        let one = linked("MIT", folder.path());
        assert_eq!(texts_of(&one)?, ["one", "two"]);
        let crates = ["a", "b"].map(|name| {
            let name = name.to_owned();
            (
                name.clone(),
                LinkedCrate {
                    name,
                    ..linked("MIT", folder.path())
                },
            )
        });
        let root = "a".to_owned();
        let text = text(&LinkedCrates {
            root,
            crates: crates.into(),
        })?;
        assert_eq!(text.matches("\none\n").count(), 1, "{text}");
        assert!(text.contains("\na 1.0.0, b 1.0.0\n"), "{text}");
        Ok(())
    }

    #[test]
    fn a_licence_without_a_text_is_known_or_refused() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let texts = |licence| texts_of(&linked(licence, folder.path()));
        assert!(texts("MIT/Apache-2.0")?[0].starts_with("Copyright (c) Ann"));
        assert!(texts("Apache-2.0")?[0].contains("Apache License"));
        assert!(texts("ISC").is_err());
        assert!(texts("MIT AND ISC").is_err());
        Ok(())
    }

    #[test]
    fn every_crate_of_the_program_has_the_text_of_its_licence() -> Result<()> {
        let target = super::super::target::Target::choose()?;
        let linked = LinkedCrates::of("esm-cli", target.triple())?;
        let text = text(&linked)?;
        for one in linked.third_party() {
            assert!(!one.licence.is_empty(), "{} has no licence", one.name);
        }
        for known in ["- tokio 1.", "- jaq-core ", "Apache License", "Rich Felker"] {
            assert!(text.contains(known), "{known} is missing");
        }
        Ok(())
    }
}
