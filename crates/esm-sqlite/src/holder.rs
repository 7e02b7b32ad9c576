//! Which process holds a lock on a file.

use std::path::Path;

/// Returns a process, other than this one, that holds a lock which excludes writers; `None` where
/// that is not known. Opens neither of the locked files: closing one would release the locks that
/// this process holds on it.
#[cfg(target_os = "linux")]
pub(crate) fn holder(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;

    let inode = |path: &Path| std::fs::metadata(path).ok().map(|found| found.ino());
    let shared = path.with_file_name(format!("{}-shm", path.file_name()?.to_str()?));
    let locked = Locked {
        file: inode(path),
        shared: inode(&shared),
    };
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let own = i64::from(std::process::id());
    let process = locked.holders(&locks).find(|process| *process != own)?;
    let name = std::fs::read_to_string(format!("/proc/{process}/comm")).ok();
    Some(match name {
        Some(name) => format!("process {process}, {}", name.trim_end()),
        None => format!("process {process}"),
    })
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn holder(_path: &Path) -> Option<String> {
    None
}

/// The numbers of the files that SQLite locks: the database, and the shared memory beside it.
#[cfg(target_os = "linux")]
#[derive(Debug, Clone, Copy)]
struct Locked {
    file: Option<u64>,
    shared: Option<u64>,
}

#[cfg(target_os = "linux")]
impl Locked {
    /// The byte of the shared memory that a writer locks.
    const WRITER: u64 = 120;

    /// Returns the processes that exclude writers, from a text like `/proc/locks`.
    fn holders(self, locks: &str) -> impl Iterator<Item = i64> {
        locks.lines().filter_map(move |line| self.holder(line))
    }

    /// Reads a line like `1: POSIX  ADVISORY  WRITE 712 fe:00:2359 120 120`.
    fn holder(self, line: &str) -> Option<i64> {
        let mut words = line.split_whitespace().skip(1);
        let is_write = words.next()? == "POSIX" && words.nth(1)? == "WRITE";
        let process = words.next()?.parse().ok()?;
        let inode = words.next()?.rsplit(':').next()?.parse().ok()?;
        let first: u64 = words.next()?.parse().ok()?;
        let last = words.next()?.parse().unwrap_or(u64::MAX);
        let excludes = self.file == Some(inode)
            || self.shared == Some(inode) && (first..=last).contains(&Self::WRITER);
        (is_write && excludes && process > 0).then_some(process)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_writer_of_these_files_is_found_among_all_locks() {
        let locks = "1: POSIX  ADVISORY  READ  11 fe:00:7 123 123\n\
                     2: POSIX  ADVISORY  WRITE 12 fe:00:7 123 123\n\
                     3: FLOCK  ADVISORY  WRITE 13 fe:00:7 0 EOF\n\
                     4: POSIX  ADVISORY  WRITE 14 fe:00:9 0 EOF\n\
                     4: -> POSIX  ADVISORY  WRITE 15 fe:00:7 120 120\n\
                     5: POSIX  ADVISORY  WRITE 16 fe:00:7 120 120\n\
                     6: POSIX  ADVISORY  READ  17 fe:00:6 1073741826 1073742335\n\
                     7: POSIX  ADVISORY  WRITE 18 fe:00:6 1073741824 EOF\n\
                     odd\n";
        let locked = Locked {
            file: Some(6),
            shared: Some(7),
        };
        assert_eq!(locked.holders(locks).collect::<Vec<_>>(), [16, 18]);
    }
}
