//! Removing the staging files that crashed writers left.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::calls::Calls;
use super::entries::Entries;
use super::staging::is_staging;

/// A staging file is abandoned when nobody wrote to it for this long, by the file system's own time.
const ABANDONED_AFTER: Duration = Duration::from_hours(24);
/// A store is searched this often at most.
const EVERY: Duration = Duration::from_hours(24);
/// How many names one opening of the store checks: some milliseconds.
const NAMES_AT_ONCE: usize = 1024;
/// Its modification time is when the last search ran; its contents say where to continue one that
/// has not come to its end.
const STAMP: &str = ".esm-swept";
/// A stamp is read up to here.
const STAMP_BYTES: u64 = 64 * 1024;

/// Searches a part of a store for abandoned staging files, unless the whole was searched lately.
///
/// # Why no writer is harmed
/// The clock of this process only decides whether to search. The age of a file is the difference of
/// two times that the file system itself gave. A file that its writer could not stage again is
/// locked while the writer lives, and left alone. A writer whose other staging file is removed all
/// the same finds out when it publishes it, and stages it again.
///
/// Such files are hidden from every reader, so what is not removed costs space alone: errors are
/// logged and otherwise ignored.
pub(crate) async fn sweep_staging_files(root: PathBuf, now: Timestamp) {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    let swept =
        tokio::task::spawn_blocking(move || sweep(&root, now, NAMES_AT_ONCE, &Calls::default()))
            .await;
    match swept.map_err(io::Error::other).flatten() {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed abandoned staging files"),
        Err(error) => tracing::debug!(%error, "cannot look for abandoned staging files"),
    }
}

/// Checks at most this many names, and returns how many files it removed.
pub(super) fn sweep(root: &Path, now: SystemTime, names: usize, calls: &Calls) -> io::Result<u64> {
    let stamp = root.join(STAMP);
    let Some(position) = due(&stamp, now) else {
        return Ok(0);
    };
    // written before anything is read: so its time is now, by the clock that dates the files
    let file_system_now = write_stamp(&stamp, &position)?;
    let mut search = Search::resume(root, &position);
    let mut removed = 0;
    let mut finished = false;
    for _ in 0..names {
        let Some(path) = search.next() else {
            finished = true;
            break;
        };
        let is_abandoned = is_staging_file(&path)
            && is_old(&path, file_system_now).unwrap_or(false)
            && !is_held(&path);
        if is_abandoned && calls.remove_file(&path).is_ok() {
            removed += 1;
        }
    }
    let position = if finished {
        String::new()
    } else {
        search.position()
    };
    write_stamp(&stamp, &position)?;
    Ok(removed)
}

/// Where to continue, if it is time to.
fn due(stamp: &Path, now: SystemTime) -> Option<String> {
    let begin = Some(Search::BEGIN.to_owned());
    let Ok(file) = File::open(stamp) else {
        return begin;
    };
    let mut position = String::new();
    if file.metadata().is_ok_and(|found| found.len() > 0) {
        let read = file.take(STAMP_BYTES).read_to_string(&mut position);
        return read.map_or(begin, |_| Some(position));
    }
    let searched = file.metadata().and_then(|found| found.modified()).ok()?;
    // a time far in the future is one of a clock that was wrong
    let apart = now
        .duration_since(searched)
        .unwrap_or_else(|ahead| ahead.duration());
    if apart < EVERY { None } else { begin }
}

/// Writes the stamp and returns when, by the file system's clock.
fn write_stamp(stamp: &Path, position: &str) -> io::Result<SystemTime> {
    let mut file = File::create(stamp)?;
    file.write_all(position.as_bytes())?;
    // emptying an empty file need not change its time
    file.set_len(1 + position.len() as u64)?;
    file.set_len(position.len() as u64)?;
    file.metadata()?.modified()
}

fn is_staging_file(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(is_staging)
}

fn is_old(path: &Path, now: SystemTime) -> io::Result<bool> {
    let found = std::fs::symlink_metadata(path)?;
    let age = now.duration_since(found.modified()?).unwrap_or_default();
    Ok(found.is_file() && age >= ABANDONED_AFTER)
}

/// Whether a living process holds the file.
fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return true;
    };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Walks over all names below a root, and can be resumed.
struct Search {
    root: PathBuf,
    /// The folders from the root to the current one, each with what is left of it.
    folders: Vec<(PathBuf, Entries)>,
}

impl Search {
    /// The position before everything.
    const BEGIN: &'static str = "0\n";

    /// Continues at a position: a line for each folder from the root on, with where to continue in it
    /// and its name. What is not there any more is left out, and what is no position is the beginning.
    fn resume(root: &Path, position: &str) -> Self {
        let mut folders = Vec::new();
        let mut path = root.to_owned();
        for line in position.lines() {
            let (at, name) = line.split_once(' ').unwrap_or((line, ""));
            if (name.is_empty() != folders.is_empty()) || name.contains("..") || name.contains('/')
            {
                break;
            }
            if !name.is_empty() {
                path.push(name);
            }
            let Ok(entries) = at
                .parse()
                .map_err(io::Error::other)
                .and_then(|at| Entries::open(&path, at))
            else {
                break;
            };
            folders.push((path.clone(), entries));
        }
        if folders.is_empty()
            && let Ok(entries) = Entries::open(root, 0)
        {
            folders.push((root.to_owned(), entries));
        }
        Self {
            root: root.to_owned(),
            folders,
        }
    }

    fn position(&self) -> String {
        let line = |(path, entries): &(PathBuf, Entries)| {
            let name = match path.file_name() {
                Some(name) if *path != self.root => format!(" {}", name.display()),
                _ => String::new(),
            };
            format!("{}{name}\n", entries.position())
        };
        self.folders.iter().map(line).collect()
    }

    /// The next name; nothing at the end.
    fn next(&mut self) -> Option<PathBuf> {
        loop {
            let (folder, entries) = self.folders.last_mut()?;
            // a folder that cannot be read holds up nothing
            let Ok(Some(entry)) = entries.next(folder) else {
                self.folders.pop();
                continue;
            };
            let path = folder.join(&entry.name);
            // a name that is not of this store would not fit into a position
            let is_own = entry.name.to_str().is_some_and(is_segment);
            if entry.is_folder
                && is_own
                && let Ok(entries) = Entries::open(&path, 0)
            {
                self.folders.push((path.clone(), entries));
            }
            return Some(path);
        }
    }
}

/// Whether this may be the name of a folder of a store.
fn is_segment(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = usize::MAX;

    struct Folder {
        root: tempfile::TempDir,
    }

    impl Folder {
        fn new() -> io::Result<Self> {
            let root = tempfile::tempdir()?;
            std::fs::create_dir_all(root.path().join("a/b"))?;
            Ok(Self { root })
        }

        /// A file that was written to so many hours ago.
        fn file(&self, name: &str, hours: u64) -> io::Result<PathBuf> {
            let path = self.root.path().join(name);
            let file = File::create(&path)?;
            let now = file.metadata()?.modified()?;
            file.set_modified(now - Duration::from_hours(hours))?;
            Ok(path)
        }

        fn sweep(&self, after: Duration, names: usize) -> io::Result<u64> {
            let now = File::create(self.root.path().join("now"))?.metadata()?;
            let now = now.modified()? + after;
            sweep(self.root.path(), now, names, &Calls::default())
        }
    }

    #[test]
    fn only_old_staging_files_go_and_only_once_a_day() -> io::Result<()> {
        let folder = Folder::new()?;
        let old = folder.file("a/b/00000000000000000003#1", 25)?;
        let newer = folder.file("a/b/3#340282366920938463463374607431768211455", 25)?;
        let young = folder.file("a/b/00000000000000000003#2", 2)?;
        let object = folder.file("a/b/00000000000000000002", 90)?;
        assert_eq!(folder.sweep(Duration::ZERO, ALL)?, 2);
        assert!(!old.exists() && !newer.exists() && young.exists() && object.exists());

        let old = folder.file("a/x#1", 90)?;
        assert_eq!(folder.sweep(Duration::from_hours(1), ALL)?, 0);
        assert!(old.exists());
        assert_eq!(folder.sweep(Duration::from_hours(25), ALL)?, 1);
        assert!(!old.exists());
        Ok(())
    }

    #[test]
    fn a_clock_that_is_days_ahead_makes_no_file_older() -> io::Result<()> {
        let folder = Folder::new()?;
        let young = folder.file("a/b/00000000000000000003#2", 2)?;
        for days in 1..5 {
            assert_eq!(folder.sweep(Duration::from_hours(24 * days), ALL)?, 0);
        }
        assert!(young.exists());
        Ok(())
    }

    #[test]
    fn a_file_that_a_living_process_holds_stays() -> io::Result<()> {
        let folder = Folder::new()?;
        let held = folder.file("a/b/upload#7", 90)?;
        let holder = File::open(&held)?;
        holder.lock()?;
        assert_eq!(folder.sweep(Duration::ZERO, ALL)?, 0);
        assert!(held.exists());
        drop(holder);
        assert_eq!(folder.sweep(Duration::from_hours(25), ALL)?, 1);
        assert!(!held.exists());
        Ok(())
    }

    #[test]
    fn a_search_goes_on_where_the_last_one_stopped_until_everything_was_seen() -> io::Result<()> {
        let folder = Folder::new()?;
        for n in 0..40 {
            std::fs::create_dir_all(folder.root.path().join(format!("streams/{n}/c")))?;
            folder.file(&format!("streams/{n}/c/0#{n}"), 30)?;
            folder.file(&format!("streams/{n}/c/0"), 30)?;
        }
        let mut removed = 0;
        let mut openings = 0;
        while !folder.root.path().join(STAMP).exists()
            || std::fs::metadata(folder.root.path().join(STAMP))?.len() > 0
        {
            let one = folder.sweep(Duration::ZERO, 7)?;
            assert!(one <= 7, "bounded: {one}");
            removed += one;
            openings += 1;
            assert!(openings < 100, "the search ends");
        }
        assert_eq!(removed, 40);
        assert!(openings > 20, "{openings}");
        assert_eq!(folder.sweep(Duration::ZERO, 7)?, 0);
        Ok(())
    }

    #[test]
    fn a_position_that_is_gone_or_damaged_skips_nothing_above_it() -> io::Result<()> {
        let folder = Folder::new()?;
        for position in [
            "",
            "x",
            "0 a\n",
            "0\n0 gone\n0 b\n",
            "0\n0 ..\n",
            "\u{0}\n5\n",
        ] {
            let old = folder.file("a/b/3#1", 30)?;
            std::fs::write(folder.root.path().join(STAMP), position)?;
            folder.sweep(Duration::from_hours(25), ALL)?;
            assert!(!old.exists(), "{position:?}");
        }
        Ok(())
    }
}
