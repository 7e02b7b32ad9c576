//! Reading a folder entry by entry, from where an earlier reader stopped.

use std::ffi::OsString;
use std::io;
use std::path::Path;

/// What is in a folder, in the file system's own order.
#[derive(Debug)]
pub(super) struct Entries {
    #[cfg(target_os = "linux")]
    folder: rustix::fs::Dir,
    #[cfg(not(target_os = "linux"))]
    folder: std::fs::ReadDir,
    position: i64,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) is_folder: bool,
}

impl Entries {
    /// Where to continue: behind the entries that were read.
    pub(super) fn position(&self) -> i64 {
        self.position
    }
}

#[cfg(target_os = "linux")]
impl Entries {
    /// The entries behind a position, which is 0 at first. Going there costs nothing, however many
    /// are before it.
    pub(super) fn open(path: &Path, position: i64) -> io::Result<Self> {
        let mut folder = rustix::fs::Dir::new(std::fs::File::open(path)?)?;
        if position != 0 {
            folder.seek(position)?;
        }
        Ok(Self { folder, position })
    }

    /// The next entry; nothing at the end.
    pub(super) fn next(&mut self, path: &Path) -> io::Result<Option<Entry>> {
        use std::os::unix::ffi::OsStringExt as _;
        loop {
            let Some(entry) = self.folder.read().transpose()? else {
                return Ok(None);
            };
            self.position = entry.offset();
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let name = OsString::from_vec(name.to_vec());
            let is_folder = match entry.file_type() {
                rustix::fs::FileType::Directory => true,
                // not every file system says it here
                rustix::fs::FileType::Unknown => {
                    std::fs::symlink_metadata(path.join(&name)).is_ok_and(|found| found.is_dir())
                }
                _ => false,
            };
            return Ok(Some(Entry { name, is_folder }));
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Entries {
    /// The entries behind a position, which is 0 at first: those before it are read over.
    pub(super) fn open(path: &Path, position: i64) -> io::Result<Self> {
        let mut folder = std::fs::read_dir(path)?;
        for _ in 0..position {
            if folder.next().is_none() {
                break;
            }
        }
        Ok(Self { folder, position })
    }

    /// The next entry; nothing at the end.
    pub(super) fn next(&mut self, _path: &Path) -> io::Result<Option<Entry>> {
        let Some(entry) = self.folder.next().transpose()? else {
            return Ok(None);
        };
        self.position += 1;
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        Ok(Some(Entry {
            name: entry.file_name(),
            is_folder,
        }))
    }
}
