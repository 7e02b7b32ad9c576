//! Public documentation links every rule and invariant of the protocol that it cites:
//! `[R7](crate::protocol#r7)` in esm-core, `[R7](esm_core::protocol#r7)` elsewhere. Rustdoc does not
//! check the fragment of such a link, so this does.

use std::path::{Path, PathBuf};

use super::Source;
use super::prose::{self, Kind, Piece};

/// Where the rules are defined: their headings, and links within the page.
const DEFINITIONS: &str = "crates/esm-core/src/protocol/mod.rs";

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let checked = |source: &&Source| {
        let name = source.name();
        let of_a_crate = source.is("rs") && name.starts_with("crates/") && name.contains("/src/");
        of_a_crate && name != DEFINITIONS
    };
    let checked = sources.iter().filter(checked);
    checked
        .flat_map(|source| of_file(source, sources))
        .collect()
}

fn of_file(source: &Source, sources: &[Source]) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let public_module = is_public_module(&source.path, sources);
    let docs = prose::of_rust(&source.text).into_iter();
    docs.filter(|piece| piece.kind == Kind::Doc)
        .filter(|piece| {
            if lines[piece.line].trim_start().starts_with("//!") {
                public_module
            } else {
                is_public_item(&lines, piece)
            }
        })
        .flat_map(|piece| {
            let text = prose::without_code(&piece.text);
            let complaints = unlinked(&text).into_iter();
            let at = move |(line, complaint): (usize, String)| (piece.line + line, complaint);
            complaints.map(at).collect::<Vec<_>>()
        })
        .map(|(line, complaint)| source.at(line, &complaint))
        .collect()
}

/// Whether a module and all that it is in are public, by their declarations.
fn is_public_module(path: &Path, sources: &[Source]) -> bool {
    let Some((parents, name)) = parents(path) else {
        return true;
    };
    let parent = sources.iter().find(|source| parents.contains(&source.path));
    let Some(parent) = parent else {
        return true;
    };
    let declared = parent.text.contains(&format!("pub mod {name};"));
    declared && is_public_module(&parent.path, sources)
}

/// The files that may declare the module of a file, and the module's name; nothing for a root.
fn parents(path: &Path) -> Option<(Vec<PathBuf>, String)> {
    let folder = path.parent()?;
    let stem = path.file_stem()?.to_str()?;
    let in_root = folder.ends_with("src");
    match stem {
        "lib" | "main" if in_root => None,
        "mod" => {
            let above = folder.parent()?;
            Some((declaring(above), folder.file_name()?.to_str()?.to_owned()))
        }
        stem => Some((declaring(folder), stem.to_owned())),
    }
}

fn declaring(folder: &Path) -> Vec<PathBuf> {
    let names = ["mod.rs", "lib.rs", "main.rs"];
    let mut files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    files.push(folder.with_extension("rs"));
    files
}

/// Whether what a `///` describes is public, as far as its own line and the item around it say.
fn is_public_item(lines: &[&str], piece: &Piece) -> bool {
    let after = piece.line + piece.text.matches('\n').count() + 1;
    let is_item = |line: &&&str| {
        let line = line.trim_start();
        !(line.is_empty() || line.starts_with("//") || line.starts_with('#') || line == ")]")
    };
    let Some(item) = lines
        .get(after..)
        .and_then(|rest| rest.iter().find(is_item))
    else {
        return false;
    };
    let is_top = |line: &str| !line.starts_with([' ', '}', ')', '#', '/']) && !line.is_empty();
    let around = lines[..piece.line].iter().rfind(|line| is_top(line));
    let inside = item.starts_with(' ');
    let around = around.filter(|_| inside).copied().unwrap_or("pub ");
    let line = item.trim_start();
    if line.starts_with("pub ") {
        around.starts_with("pub ") || around.starts_with("impl")
    } else {
        // methods of a trait and variants of an enumeration are as public as it is
        line.starts_with("macro_rules!")
            || (inside
                && ["pub trait ", "pub enum "]
                    .iter()
                    .any(|of| around.starts_with(of)))
    }
}

/// Citations without a link, and links that lead elsewhere, with their lines.
fn unlinked(text: &str) -> Vec<(usize, String)> {
    let mut wrong = Vec::new();
    for (at, rule) in citations(text) {
        let line = text[..at].matches('\n').count();
        let anchor = format!("protocol#{}", rule.to_lowercase());
        match link_around(text, at) {
            None => wrong.push((line, format!("link {rule}: [{rule}](…::{anchor})"))),
            Some((label, target)) if label == rule && !target.ends_with(&anchor) => {
                wrong.push((
                    line,
                    format!("{rule} leads to {target}, not to …::{anchor}"),
                ));
            }
            Some(_) => {}
        }
    }
    wrong
}

/// `R1` to `R99` and `I1` to `I9` as words of their own, with their offsets.
fn citations(text: &str) -> Vec<(usize, &str)> {
    let is_number = |digits: &str, most: usize| {
        (1..=most).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    let begins = text.match_indices(['R', 'I']).map(|(at, _)| at);
    begins
        .filter(|at| !text[..*at].ends_with(prose::is_word))
        .map(|at| {
            let rest = &text[at..];
            let end = rest.find(|c| !prose::is_word(c)).unwrap_or(rest.len());
            (at, &rest[..end])
        })
        .filter(|(_, word)| {
            let rule = word.strip_prefix('R').is_some_and(|d| is_number(d, 2));
            rule || word.strip_prefix('I').is_some_and(|d| is_number(d, 1))
        })
        .collect()
}

/// The label and the target of the link `[label](target)` that has this offset in its label.
fn link_around(text: &str, at: usize) -> Option<(&str, &str)> {
    let begin = text[..at].rfind('[')?;
    let label = &text[begin + 1..];
    let label = &label[..label.find(']')?];
    let target = text[begin + 1 + label.len()..].strip_prefix("](")?;
    let is_inside = begin + 1 + label.len() > at;
    is_inside.then_some((label, &target[..target.find(')')?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        check(&[
            Source::new("crates/new/src/lib.rs", "pub mod open;\nmod hidden;\n"),
            Source::new("crates/new/src/open.rs", text),
        ])
    }

    #[test]
    fn a_citation_without_a_link_in_public_docs_is_found() {
        for text in [
            "//! As R7 says.\n",
            "/// See (R12).\npub fn a() {}\n",
            "/// é I4\n#[derive(Debug)]\npub struct A;\n",
            "pub enum A {\n    /// R7\n    B,\n}\n",
            "pub trait A {\n    /// R7\n    fn b();\n}\n",
            "impl A {\n    /// R7\n    pub fn b() {}\n}\n",
            "/// [R7](crate::protocol#r8)\npub fn a() {}\n",
        ] {
            assert_eq!(complaints(text).len(), 1, "{text}");
        }
        let found = complaints("/// One\n/// two R7.\npub fn a() {}\n");
        let expected = "crates/new/src/open.rs:2: link R7: [R7](…::protocol#r7)";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn links_code_and_private_docs_are_right() {
        for text in [
            "/// [R7](crate::protocol#r7), [I4](esm_core::protocol#i4)\npub fn a() {}\n",
            "/// [as R7\n/// says](crate::protocol#r7)\npub fn a() {}\n",
            "/// `R7`, S3, R2D2, R100, I10\npub fn a() {}\n",
            "// R7\npub fn a() {}\n",
            "/// R7\nfn a() {}\n",
            "/// R7\npub(crate) fn a() {}\n",
            "enum A {\n    /// R7\n    B,\n}\n",
            "pub struct A {\n    /// R7\n    b: u8,\n}\n",
            "impl A {\n    /// R7\n    fn b() {}\n}\n",
        ] {
            assert_eq!(complaints(text), [""; 0], "{text}");
        }
        let hidden = [
            Source::new("crates/new/src/lib.rs", "mod hidden;\n"),
            Source::new("crates/new/src/hidden/mod.rs", "//! R7\npub mod open;\n"),
            Source::new("crates/new/src/hidden/open.rs", "//! R7\n"),
        ];
        assert_eq!(check(&hidden), [""; 0]);
    }
}
