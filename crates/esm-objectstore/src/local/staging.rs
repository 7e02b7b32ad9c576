//! A file that is written under a name that no reader sees, and then gets its real one.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::calls::Calls;
use crate::failure::no_hard_links;

/// A file that is being written.
///
/// # Why a success can be believed
/// Its name holds 128 random bits, so no other process ever writes under it. Another may remove it
/// (a sweep, of this version or an older one, on whatever clock): then linking fails, or the open
/// file has no name. [`publish`](Self::publish) compares the open file with what has the real name,
/// so it reports success only for the bytes that this process wrote.
///
/// Dropping it removes the staging name.
#[derive(Debug)]
pub(super) struct Staged {
    calls: Calls,
    file: File,
    path: PathBuf,
    target: PathBuf,
    /// Whether the staging name is gone by a rename.
    renamed: bool,
}

/// How a file gets its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Publish {
    /// Fails when the name is taken.
    Create,
    /// Replaces the file that has the name.
    Overwrite,
}

/// Why a file was not published.
#[derive(Debug)]
pub(super) enum PublishError {
    /// Another file has the name.
    Taken(io::Error),
    /// Nothing of this process is there: its staging file was removed, or another write came after
    /// it. May be tried again.
    Lost,
    /// The file system refused it.
    Refused(io::Error),
    /// It may be there, and nobody knows whether it survives a loss of power.
    Unsynced(io::Error),
}

impl Staged {
    /// Creates the staging file of a target, in the same folder.
    ///
    /// # Errors
    /// `NotFound` when the folder is gone; `AlreadyExists` when another file has this very name.
    pub(super) fn create(calls: &Calls, target: &Path, random: u128) -> io::Result<Self> {
        let path = staging_path(target, random);
        let file = calls.create(&path)?;
        Ok(Self {
            calls: calls.clone(),
            file,
            path,
            target: target.to_owned(),
            renamed: false,
        })
    }

    /// Writes to the file.
    pub(super) fn write(
        &mut self,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let file = &mut self.file;
        self.calls.write(&self.path, || write(file))
    }

    /// Marks the file as in use for as long as it is open: a sweep leaves it alone then, however
    /// old it is. For what cannot be staged again. Where files cannot be locked, a removed one is
    /// noticed when it is published.
    pub(super) fn hold(&self) {
        let _ = self.file.try_lock();
    }

    /// Syncs the contents, gives the file its real name, and syncs that.
    pub(super) fn publish(&mut self, how: Publish) -> Result<(), PublishError> {
        let (calls, target) = (&self.calls, &self.target);
        let refused = PublishError::Refused;
        let parent = target.parent().unwrap_or(target);
        calls.sync_file(&self.file, &self.path).map_err(refused)?;
        let folder = match calls.open_folder(parent) {
            // only an empty folder is removed
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PublishError::Lost);
            }
            opened => opened.map_err(refused)?,
        };
        let named = match how {
            Publish::Create => calls.link(&self.path, target),
            Publish::Overwrite => calls.rename(&self.path, target),
        };
        self.renamed = how == Publish::Overwrite && named.is_ok();
        match named {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PublishError::Lost);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(PublishError::Taken(error));
            }
            Err(error) if how == Publish::Create => return Err(refused(no_hard_links(error))),
            Err(error) => return Err(refused(error)),
        }
        let unsynced = PublishError::Unsynced;
        let has_name = calls.leads_to(target, &self.file).map_err(unsynced)?;
        // a link that was made and removed since, by a deletion, is not made again: the staging name
        // still leads to this file, so it did when it was linked
        let was_linked = || {
            how == Publish::Create && calls.leads_to(&self.path, &self.file).is_ok_and(|own| own)
        };
        if !has_name && !was_linked() {
            return Err(PublishError::Lost);
        }
        calls.sync_folder(&folder, parent).map_err(unsynced)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.renamed {
            // what cannot be removed is left to the sweep
            let _ = self.calls.remove_file(&self.path);
        }
    }
}

/// `name#N`, N a decimal number: such files are hidden by every version of the store.
fn staging_path(target: &Path, random: u128) -> PathBuf {
    let mut path = target.as_os_str().to_owned();
    path.push(format!("#{random}"));
    path.into()
}

/// Whether this is the name of a file that is being written: also those of older versions, which
/// counted from 1.
pub(super) fn is_staging(name: &str) -> bool {
    name.rsplit_once('#')
        .is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}
