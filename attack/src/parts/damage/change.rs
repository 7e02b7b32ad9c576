//! What can happen to the files of a store at rest.

use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail, ensure};

use crate::files;
use crate::formats::Place;

/// One change of a store's files; paths are below its root. It is written as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) what: What,
    pub(crate) path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Delete,
    DeleteFolder,
    Truncate(usize),
    /// Zeros behind the end.
    Extend(usize),
    /// Its copy takes this name.
    CopyTo(String),
    SwapWith(String),
    /// This mask is applied to this byte.
    Flip(usize, u8),
}

impl What {
    /// Its name without its details.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::DeleteFolder => "delete-folder",
            Self::Truncate(0) => "empty",
            Self::Truncate(_) => "truncate",
            Self::Extend(_) => "extend",
            Self::CopyTo(_) => "copy",
            Self::SwapWith(_) => "swap",
            Self::Flip(..) => "flip",
        }
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.what {
            What::Delete => write!(f, "delete {path}"),
            What::DeleteFolder => write!(f, "delete-folder {path}"),
            What::Truncate(at) => write!(f, "truncate {path} {at}"),
            What::Extend(by) => write!(f, "extend {path} {by}"),
            What::CopyTo(other) => write!(f, "copy {path} {other}"),
            What::SwapWith(other) => write!(f, "swap {path} {other}"),
            What::Flip(at, mask) => write!(f, "flip {path} {at} {mask}"),
        }
    }
}

impl FromStr for Change {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let (what, path) = match words[..] {
            ["delete", path] => (What::Delete, path),
            ["delete-folder", path] => (What::DeleteFolder, path),
            ["truncate", path, at] => (What::Truncate(at.parse()?), path),
            ["extend", path, by] => (What::Extend(by.parse()?), path),
            ["copy", path, other] => (What::CopyTo(other.to_owned()), path),
            ["swap", path, other] => (What::SwapWith(other.to_owned()), path),
            ["flip", path, at, mask] => (What::Flip(at.parse()?, mask.parse()?), path),
            _ => bail!("not a change: {text}"),
        };
        let path = path.to_owned();
        Ok(Self { what, path })
    }
}

impl Change {
    /// Makes the change below a root.
    pub(crate) fn apply(&self, root: &Path) -> Result<()> {
        let path = root.join(&self.path);
        let edit = |edit: &dyn Fn(&mut Vec<u8>) -> Result<()>| -> Result<()> {
            let mut bytes = std::fs::read(&path)?;
            edit(&mut bytes)?;
            Ok(std::fs::write(&path, bytes)?)
        };
        let done = match &self.what {
            What::Delete => std::fs::remove_file(&path).map_err(Into::into),
            What::DeleteFolder => std::fs::remove_dir_all(&path).map_err(Into::into),
            What::Truncate(at) => edit(&|bytes| {
                bytes.truncate(*at);
                Ok(())
            }),
            What::Extend(by) => edit(&|bytes| {
                bytes.resize(bytes.len() + by, 0);
                Ok(())
            }),
            What::CopyTo(other) => std::fs::copy(&path, root.join(other))
                .map(drop)
                .map_err(Into::into),
            What::SwapWith(other) => swap(&path, &root.join(other)),
            What::Flip(at, mask) => edit(&|bytes| {
                ensure!(*at < bytes.len(), "no such byte");
                bytes[*at] ^= mask;
                Ok(())
            }),
        };
        done.with_context(|| format!("cannot {self}"))
    }

    /// The files that it touches.
    pub(crate) fn touches(&self, before: &[String]) -> Vec<String> {
        match &self.what {
            What::DeleteFolder => {
                let folder = format!("{}/", self.path);
                let inside = before.iter().filter(|path| path.starts_with(&folder));
                inside.cloned().collect()
            }
            What::CopyTo(other) | What::SwapWith(other) => vec![self.path.clone(), other.clone()],
            _ => vec![self.path.clone()],
        }
    }
}

fn swap(a: &Path, b: &Path) -> Result<()> {
    let (of_a, of_b) = (std::fs::read(a)?, std::fs::read(b)?);
    std::fs::write(a, of_b)?;
    Ok(std::fs::write(b, of_a)?)
}

/// Every change of whole files and folders.
pub(crate) fn of_files(root: &Path) -> Result<Vec<Change>> {
    let paths = files::below(root)?;
    let mut changes = Vec::new();
    for path in &paths {
        let bytes = std::fs::read(root.join(path))?;
        changes.extend(of_file(path, &bytes, &paths));
    }
    for (at, path) in paths.iter().enumerate() {
        let kind = Place::of(path).kind;
        let brothers = paths[at + 1..].iter().filter(|b| Place::of(b).kind == kind);
        changes.extend(brothers.map(|brother| Change {
            what: What::SwapWith(brother.clone()),
            path: path.clone(),
        }));
    }
    changes.extend(files::folders(&paths).into_iter().map(|path| Change {
        what: What::DeleteFolder,
        path,
    }));
    Ok(changes)
}

/// What happens to one file, apart from flips.
fn of_file(path: &str, bytes: &[u8], paths: &[String]) -> Vec<Change> {
    let first_line = bytes
        .iter()
        .position(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let length = bytes.len();
    let mut cuts = vec![
        0,
        1,
        length / 4,
        first_line,
        length / 2,
        length.saturating_sub(1),
    ];
    cuts.retain(|at| *at < length);
    cuts.sort_unstable();
    cuts.dedup();
    let mut whats = vec![What::Delete, What::Extend(1), What::Extend(64)];
    whats.extend(cuts.into_iter().map(What::Truncate));
    whats.extend(next_name(path).map(What::CopyTo));
    whats.extend(
        before_name(path)
            .filter(|name| paths.contains(name))
            .map(What::CopyTo),
    );
    let path = path.to_owned();
    let change = |what| Change {
        what,
        path: path.clone(),
    };
    whats.into_iter().map(change).collect()
}

/// The name with the next number.
fn next_name(path: &str) -> Option<String> {
    numbered_like(path, Place::of(path).number? + 1)
}

fn before_name(path: &str) -> Option<String> {
    numbered_like(path, Place::of(path).number?.checked_sub(1)?)
}

fn numbered_like(path: &str, number: u64) -> Option<String> {
    let (folder, name) = path.rsplit_once('/')?;
    let end = name.get(20..)?;
    Some(format!("{folder}/{number:020}{end}"))
}

/// One change of each byte of each file.
pub(crate) fn of_bytes(root: &Path) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for path in files::below(root)? {
        let length = std::fs::metadata(root.join(&path))?.len() as usize;
        changes.extend((0..length).map(|at| Change {
            what: What::Flip(at, mask(&path, at)),
            path: path.clone(),
        }));
    }
    Ok(changes)
}

/// One of the eight bits of a byte, whichever its place selects.
fn mask(path: &str, at: usize) -> u8 {
    let sum: usize = path.bytes().map(usize::from).sum();
    1 << ((sum + at * 5 + at / 8) % 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_as_it_is_written() -> Result<()> {
        for text in ["delete a/b", "truncate a 0", "flip a/b 17 64", "swap a b"] {
            assert_eq!(text.parse::<Change>()?.to_string(), text);
        }
        assert!("flip a".parse::<Change>().is_err());
        Ok(())
    }

    #[test]
    fn a_numbered_file_is_copied_to_the_next_name_and_over_the_one_before() {
        let name = |number: u64| format!("locks/a/{number:020}.hb");
        let changes = of_file(&name(1), b"abc", &[name(0), name(1)]);
        let copies: Vec<String> = changes
            .into_iter()
            .filter_map(|change| match change.what {
                What::CopyTo(other) => Some(other),
                _ => None,
            })
            .collect();
        assert_eq!(copies, [name(2), name(0)]);
    }

    #[test]
    fn every_byte_of_every_file_is_flipped() -> Result<()> {
        let root = tempfile::tempdir()?;
        std::fs::write(root.path().join("a"), b"abc")?;
        std::fs::write(root.path().join("b"), b"d")?;
        let changes = of_bytes(root.path())?;
        assert_eq!(changes.len(), 4);
        for change in changes {
            let before = std::fs::read(root.path().join(&change.path))?;
            change.apply(root.path())?;
            assert_ne!(before, std::fs::read(root.path().join(&change.path))?);
        }
        Ok(())
    }
}
