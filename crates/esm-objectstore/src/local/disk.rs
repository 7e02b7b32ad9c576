//! Writing and removing files, so that what was acknowledged survives.

use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use esm_core::clock::{Randomness as _, SystemRandomness};
use object_store::{Error, PutPayload, PutResult, Result};

use super::calls::Calls;
use super::durable::DurableFolders;
use super::staging::{Publish, PublishError, Staged};
use crate::failure::is_device_failure;

/// How often a file is staged anew whose staging file another removed.
const STAGINGS: usize = 4;

/// The files below a root. Every call blocks: see [`blocking`].
#[derive(Debug)]
pub(super) struct Disk {
    calls: Calls,
    folders: DurableFolders,
    failed: AtomicBool,
}

impl Disk {
    pub(super) fn new(root: PathBuf, calls: Calls) -> Self {
        Self {
            folders: DurableFolders::new(root, calls.clone()),
            calls,
            failed: AtomicBool::new(false),
        }
    }

    pub(super) fn root(&self) -> &FilePath {
        self.folders.root()
    }

    /// Refuses to work on a disk that failed before.
    pub(super) fn check(&self) -> Result<()> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(failure(io::Error::other(
                "the disk failed before: nothing is known of what is on it",
            )));
        }
        Ok(())
    }

    fn noted<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && is_device_failure(error)
        {
            self.failed.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Writes a whole file.
    pub(super) fn put(&self, file: &FilePath, payload: &PutPayload, how: Publish) -> Result<()> {
        self.check()?;
        for _ in 0..STAGINGS {
            let Some(mut staged) = self.noted(self.stage(file).map_err(failure))? else {
                continue;
            };
            let written = staged.write(|to| {
                use std::io::Write as _;
                payload.iter().try_for_each(|piece| to.write_all(piece))
            });
            self.noted(written.map_err(failure))?;
            match self.publish(&mut staged, file, how) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    self.settle(file, payload)?;
                    return Err(error);
                }
            }
        }
        Err(lost())
    }

    /// After a failed write the same bytes may be there all the same: by an earlier try, whose
    /// process may have ended before it synced the name. Whoever reads them back takes them for
    /// durable, so they are made so.
    fn settle(&self, file: &FilePath, payload: &PutPayload) -> Result<()> {
        if !holds(file, payload) {
            return Ok(());
        }
        let synced = self.folders.sync_name(file);
        synced.map_err(|error| self.unsynced(&error))
    }

    fn unsynced(&self, error: &io::Error) -> Error {
        self.failed.store(true, Ordering::Relaxed);
        unknown(format!("written, but not synced: {error}"))
    }

    /// Begins a file that is written piece by piece.
    pub(super) fn begin(&self, file: &FilePath) -> Result<Staged> {
        self.check()?;
        for _ in 0..STAGINGS {
            if let Some(staged) = self.noted(self.stage(file).map_err(failure))? {
                staged.hold();
                return Ok(staged);
            }
        }
        Err(lost())
    }

    /// Ends a file that was written piece by piece.
    pub(super) fn finish(&self, mut staged: Staged, file: &FilePath) -> Result<()> {
        self.check()?;
        if self.publish(&mut staged, file, Publish::Overwrite)? {
            return Ok(());
        }
        Err(lost())
    }

    /// Removes a file, and the folders that are empty then.
    pub(super) fn remove(&self, file: &FilePath) -> Result<()> {
        self.check()?;
        let removed = self.calls.remove_file(file);
        if let Err(source) = removed {
            return Err(match source.kind() {
                io::ErrorKind::NotFound => Error::NotFound {
                    path: file.display().to_string(),
                    source: Box::new(source),
                },
                _ => failure(source),
            });
        }
        self.noted(self.folders.after_remove(file).map_err(failure))
    }

    /// The staging file of a file; nothing when another removed a folder on the way meanwhile.
    fn stage(&self, file: &FilePath) -> io::Result<Option<Staged>> {
        let made = self.folders.make_for(file);
        let staged = made.and_then(|()| Staged::create(&self.calls, file, SystemRandomness.draw()));
        match staged {
            Ok(staged) => Ok(Some(staged)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.root().is_dir() => {
                self.folders.forget_for(file);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the file has its name; if not, it is to be staged anew.
    fn publish(&self, staged: &mut Staged, file: &FilePath, how: Publish) -> Result<bool> {
        match staged.publish(how) {
            Ok(()) => Ok(true),
            Err(PublishError::Lost) => Ok(false),
            Err(PublishError::Taken(source)) => Err(Error::AlreadyExists {
                path: file.display().to_string(),
                source: Box::new(source),
            }),
            Err(PublishError::Refused(error)) => self.noted(Err(failure(error))),
            Err(PublishError::Unsynced(error)) => Err(self.unsynced(&error)),
        }
    }
}

/// Runs calls of a disk where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// Returns the result of a write: files have no versions.
pub(super) fn done() -> PutResult {
    PutResult {
        e_tag: None,
        version: None,
        extensions: Default::default(),
    }
}

/// Whether a file has exactly these contents.
fn holds(file: &FilePath, payload: &PutPayload) -> bool {
    let length = payload.content_length() as u64;
    std::fs::metadata(file).is_ok_and(|found| found.len() == length)
        && std::fs::read(file).is_ok_and(|found| {
            let mut rest = found.as_slice();
            payload.iter().all(|piece| {
                let same = rest.strip_prefix(piece.as_ref());
                rest = same.unwrap_or_default();
                same.is_some()
            })
        })
}

/// An I/O error as the object store's own.
pub(super) fn failure(error: io::Error) -> Error {
    Error::Generic {
        store: "LocalDirectory",
        source: Box::new(error),
    }
}

/// A failure that says nothing about whether the write happened: no I/O error is among its causes,
/// by whose kind it could be taken for a refusal.
fn unknown(message: String) -> Error {
    Error::Generic {
        store: "LocalDirectory",
        source: message.into(),
    }
}

fn lost() -> Error {
    unknown("another process removed or replaced the file while it was written".to_owned())
}
