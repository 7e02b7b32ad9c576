//! Removing what crashed writers left behind.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// A staging file is removed when nobody wrote to it for this long.
const ABANDONED_AFTER: Duration = Duration::from_hours(24);
/// Looking through a large store takes a while, so it is done this often at most.
const EVERY: Duration = Duration::from_hours(24);
/// Its time of modification says when the store was last looked through.
const STAMP: &str = ".esm-swept";

/// Removes staging files (`name#7`) that were abandoned, unless that was done lately.
///
/// They are hidden from every reader, so all that is lost by leaving them is space: errors are
/// logged and otherwise ignored.
pub(crate) async fn sweep_staging_files(root: PathBuf, now: Timestamp) {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    let swept = tokio::task::spawn_blocking(move || sweep(&root, now)).await;
    match swept.map_err(io::Error::other).flatten() {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed abandoned staging files"),
        Err(error) => tracing::debug!(%error, "cannot look for abandoned staging files"),
    }
}

fn sweep(root: &Path, now: SystemTime) -> io::Result<u64> {
    let age = |path: &Path| -> io::Result<Duration> {
        let modified = std::fs::symlink_metadata(path)?.modified()?;
        Ok(now.duration_since(modified).unwrap_or_default())
    };
    let stamp = root.join(STAMP);
    if age(&stamp).is_ok_and(|age| age < EVERY) {
        return Ok(0);
    }
    let mut removed = 0;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if is_staging(&path)
                && age(&path)? >= ABANDONED_AFTER
                && std::fs::remove_file(&path).is_ok()
            {
                removed += 1;
            }
        }
    }
    std::fs::File::create(&stamp)?.set_modified(now)?;
    Ok(removed)
}

/// Whether this is a name that `LocalFileSystem` gives to a file while it is being written.
pub(super) fn is_staging(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.rsplit_once('#'))
        .is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_staging_files_go_and_only_once_a_day() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let folder = root.path().join("a/b");
        std::fs::create_dir_all(&folder)?;
        let file = |name: &str, age: u64| -> io::Result<PathBuf> {
            let path = folder.join(name);
            let file = std::fs::File::create(&path)?;
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_hours(1_000 - age))?;
            Ok(path)
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1_000);
        let old = file("00000000000000000003#1", 25)?;
        let young = file("00000000000000000003#2", 2)?;
        let object = file("00000000000000000002", 90)?;
        assert_eq!(sweep(root.path(), now)?, 1);
        assert!(!old.exists() && young.exists() && object.exists());

        let old = file("x#1", 90)?;
        assert_eq!(sweep(root.path(), now + Duration::from_hours(1))?, 0);
        assert!(old.exists());
        assert_eq!(sweep(root.path(), now + Duration::from_hours(24))?, 2);
        assert!(!old.exists() && !young.exists());
        Ok(())
    }
}
