//! Where configuration files are.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use esm_core::{Error, Result};

use super::document::{Document, at};
use crate::exit;

/// The file of the working directory.
const DIRECTORY: &str = "esm.toml";

/// The longest file that is read.
const MAX_BYTES: u64 = 64 << 10;

/// A file that was read.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) document: Document,
}

/// The configuration files.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The file of the working directory, then the user's.
    pub(super) files: Vec<File>,
}

impl Config {
    /// Reads the files that exist: `esm.toml` in the working directory, and the user's
    /// `esm/config.toml` in `XDG_CONFIG_HOME` or `~/.config`.
    ///
    /// # Errors
    /// Those of reading; `Invalid`, with file and line, for what a file must not have.
    pub(crate) fn load() -> Result<Self> {
        let directory = read(Path::new(DIRECTORY))?;
        let user = match user_path() {
            Some(path) => read(&path)?,
            None => None,
        };
        if let Some(directory) = &directory {
            check_directory(directory, user.as_ref())?;
        }
        let files = directory.into_iter().chain(user).collect();
        Ok(Self { files })
    }

    /// Returns the configuration of a user whose file has this text.
    ///
    /// # Errors
    /// `Invalid`, with the line, for what a file must not have.
    pub(crate) fn of_user(text: &str) -> Result<Self> {
        let file = File {
            path: PathBuf::from("config.toml"),
            document: Document::parse(text)?,
        };
        Ok(Self { files: vec![file] })
    }
}

fn user_path() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = || Some(PathBuf::from(set("HOME")?).join(".config"));
    // the specification lets programs ignore a relative path
    let base = set("XDG_CONFIG_HOME").map(PathBuf::from);
    let base = base.filter(|path| path.is_absolute()).or_else(home)?;
    Some(base.join("esm").join("config.toml"))
}

/// Reads a file; `None` if there is none.
fn read(path: &Path) -> Result<Option<File>> {
    let what = || format!("reading {}", path.display());
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            return Err(Error::invalid(format!("not a file: {}", path.display())));
        }
        Ok(found) if found.len() > MAX_BYTES => {
            let what = format!("longer than {MAX_BYTES} bytes: {}", path.display());
            return Err(Error::invalid(what));
        }
        Ok(_) => {}
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(exit::io(what(), error)),
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| exit::io(what(), error))?;
    let mut file = file.take(MAX_BYTES);
    file.read_to_string(&mut text)
        .map_err(|error| exit::io(what(), error))?;
    let document = Document::parse(&text);
    Ok(Some(File {
        document: document.map_err(|error| error.context(path.display()))?,
        path: path.to_owned(),
    }))
}

fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    // a home that cannot be searched has no file for this user
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

/// Refuses what the file of a directory must not decide.
fn check_directory(directory: &File, user: Option<&File>) -> Result<()> {
    let refused = |line, what: String, hint: &str| {
        let error = at(line, Error::invalid(what).with_hint(hint));
        Err(error.context(directory.path.display()))
    };
    if let Some(store) = directory.document.defaults.get("store") {
        return refused(
            store.line,
            "the file of a directory cannot choose the store: store".to_owned(),
            "name the store in it, and choose it with --store NAME or in your own config.toml",
        );
    }
    let known = |name: &str| user.is_some_and(|user| user.document.stores.contains_key(name));
    let mut stores = directory.document.stores.iter();
    let twice = stores.find(|(name, _)| known(name));
    if let Some((name, entry)) = twice {
        return refused(
            entry.line,
            format!("your own config.toml has a store of this name too: {name}"),
            "rename one of the two",
        );
    }
    Ok(())
}
