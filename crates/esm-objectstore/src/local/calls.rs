//! The system calls by which a local store changes files.
//!
//! All of them are here, so that a test can stop a process before and after each.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes the system calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls {
    #[cfg(test)]
    pub(super) freezer: Option<esm_testkit::frozen::Freezer>,
}

/// An open folder, to be synced.
#[derive(Debug)]
pub(super) struct Folder {
    #[cfg(unix)]
    handle: File,
}

impl Calls {
    /// Creates a file that is not there yet.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        self.step("create", path, || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(path)
        })
    }

    /// Runs one or several writes to an open file.
    pub(super) fn write(
        &self,
        path: &Path,
        write: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        self.step("write", path, write)
    }

    pub(super) fn sync_file(&self, file: &File, path: &Path) -> io::Result<()> {
        self.step("sync file", path, || file.sync_all())
    }

    /// Opens a folder, so that nothing but the sync itself can fail once there is something to sync.
    pub(super) fn open_folder(&self, path: &Path) -> io::Result<Folder> {
        self.step("open folder", path, || {
            Ok(Folder {
                #[cfg(unix)]
                handle: File::open(path)?,
            })
        })
    }

    /// Syncs the names in a folder. Only Unix can.
    pub(super) fn sync_folder(&self, folder: &Folder, path: &Path) -> io::Result<()> {
        self.step("sync folder", path, || {
            #[cfg(unix)]
            folder.handle.sync_all()?;
            #[cfg(not(unix))]
            let _ = folder;
            Ok(())
        })
    }

    pub(super) fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.step("create folder", path, || std::fs::create_dir(path))
    }

    pub(super) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("link", to, || std::fs::hard_link(from, to))
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("rename", to, || std::fs::rename(from, to))
    }

    pub(super) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.step("remove file", path, || std::fs::remove_file(path))
    }

    pub(super) fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.step("remove folder", path, || std::fs::remove_dir(path))
    }

    /// Whether a path leads to this open file. As long as the file is open, no other file has its
    /// identity.
    #[cfg(unix)]
    pub(super) fn leads_to(&self, path: &Path, file: &File) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt as _;
        self.step("compare", path, || {
            let own = file.metadata()?;
            match std::fs::symlink_metadata(path) {
                Ok(found) => Ok((found.dev(), found.ino()) == (own.dev(), own.ino())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    /// The standard library has the identity of a file on Unix alone. Elsewhere the staging name
    /// that nobody else can draw has to do.
    #[cfg(not(unix))]
    pub(super) fn leads_to(&self, path: &Path, _file: &File) -> io::Result<bool> {
        path.try_exists()
    }

    #[cfg(not(test))]
    fn step<T>(
        &self,
        _call: &'static str,
        _path: &Path,
        run: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        run()
    }

    #[cfg(test)]
    fn step<T>(
        &self,
        call: &'static str,
        path: &Path,
        run: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let stop = |when: &str| {
            if let Some(freezer) = &self.freezer {
                freezer.step(&format!("{when} {call} {}", path.display()));
            }
        };
        stop("before");
        let done = run();
        stop("after");
        done
    }
}
