//! Folders that are known to survive a loss of power.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::calls::Calls;
use super::staging::is_staging;

/// How many folders are remembered as durable; forgetting one costs a sync.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(64 * 1024).expect("not zero");

/// Makes folders so that the entry of each is synced before anything is put into it, and remembers
/// which it has seen to.
#[derive(Debug)]
pub(super) struct DurableFolders {
    root: PathBuf,
    calls: Calls,
    durable: Mutex<LruCache<PathBuf, ()>>,
    syncing: Mutex<HashMap<PathBuf, Arc<SharedSync>>>,
}

/// Syncs of one folder that are shared: whoever comes while one runs is served by the next one,
/// together with all others that wait. Creating many streams at once syncs their common folder a
/// few times, not once for each.
#[derive(Debug, Default)]
struct SharedSync {
    asked: AtomicU64,
    done: Mutex<u64>,
}

impl SharedSync {
    fn run(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if *done >= ticket {
            return Ok(());
        }
        // everybody who has a ticket by now made their change before the sync that begins now
        let covered = self.asked.load(Ordering::SeqCst);
        sync()?;
        *done = covered;
        Ok(())
    }
}

impl DurableFolders {
    pub(super) fn new(root: PathBuf, calls: Calls) -> Self {
        Self {
            root,
            calls,
            durable: Mutex::new(LruCache::new(REMEMBERED)),
            syncing: Mutex::default(),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folders that lead to a file.
    ///
    /// # Errors
    /// `NotFound` when another emptied and removed one of them meanwhile: see
    /// [`forget_for`](Self::forget_for).
    pub(super) fn make_for(&self, file: &Path) -> io::Result<()> {
        let Some(folder) = file.parent() else {
            return Ok(());
        };
        if folder == self.root || self.is_durable(folder) {
            return Ok(());
        }
        if has_object(folder) {
            self.remember(folder);
            return Ok(());
        }
        self.make(folder)
    }

    /// Removes the folders of a removed file that are empty now, and syncs what is left.
    pub(super) fn after_remove(&self, file: &Path) -> io::Result<()> {
        let mut emptied = true;
        for folder in file.ancestors().skip(1) {
            emptied = emptied && folder != self.root && self.calls.remove_dir(folder).is_ok();
            if emptied {
                self.durable().pop(folder);
                continue;
            }
            match self.sync(folder) {
                // removed by another: its entry in the folder above is what has to go
                Err(error) if error.kind() == io::ErrorKind::NotFound && folder != self.root => {
                    self.durable().pop(folder);
                }
                synced => return synced,
            }
        }
        Ok(())
    }

    /// Forgets the folders that lead to a file, one of which was removed by another: the next
    /// [`make_for`](Self::make_for) makes them again.
    pub(super) fn forget_for(&self, file: &Path) {
        if let Some(folder) = file.parent() {
            self.forget(folder);
        }
    }

    /// Makes the name of a file durable.
    pub(super) fn sync_name(&self, file: &Path) -> io::Result<()> {
        self.sync(file.parent().unwrap_or(file))
    }

    fn sync(&self, folder: &Path) -> io::Result<()> {
        let open = self.calls.open_folder(folder)?;
        self.calls.sync_folder(&open, folder)
    }

    fn make(&self, folder: &Path) -> io::Result<()> {
        if folder == self.root || self.is_durable(folder) {
            return Ok(());
        }
        let Some(above) = folder.parent() else {
            return Ok(());
        };
        self.make(above)?;
        match self.calls.create_dir(folder) {
            // another may have made it just now and not synced it yet
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => self.sync_shared(above)?,
        }
        self.durable().put(folder.to_owned(), ());
        Ok(())
    }

    fn sync_shared(&self, folder: &Path) -> io::Result<()> {
        let lock = || self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = Arc::clone(lock().entry(folder.to_owned()).or_default());
        let synced = shared.run(|| self.sync(folder));
        let mut syncing = lock();
        // let go of under the lock: of several that end together the last one sees that it is
        drop(shared);
        if syncing
            .get(folder)
            .is_some_and(|left| Arc::strong_count(left) == 1)
        {
            syncing.remove(folder);
        }
        synced
    }

    fn remember(&self, folder: &Path) {
        let mut durable = self.durable();
        for folder in folder.ancestors().take_while(|it| *it != self.root) {
            durable.put(folder.to_owned(), ());
        }
    }

    fn forget(&self, folder: &Path) {
        let mut durable = self.durable();
        for folder in folder.ancestors() {
            durable.pop(folder);
        }
    }

    fn is_durable(&self, folder: &Path) -> bool {
        self.durable().get(folder).is_some()
    }

    fn durable(&self) -> std::sync::MutexGuard<'_, LruCache<PathBuf, ()>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a folder holds an object. Then it is durable, and so are those that lead to it: whoever
/// put the object there synced them before.
fn has_object(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        entry.file_type().is_ok_and(|kind| kind.is_file())
            && !entry.file_name().to_str().is_some_and(is_staging)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(root: &Path) -> DurableFolders {
        DurableFolders::new(root.to_owned(), Calls::default())
    }

    #[test]
    fn folders_are_made_from_the_root_down_and_remembered() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let folders = folders(root.path());
        folders.make_for(&root.path().join("a/b/c/object"))?;
        assert!(root.path().join("a/b/c").is_dir());
        for folder in ["a", "a/b", "a/b/c"] {
            assert!(folders.is_durable(&root.path().join(folder)), "{folder}");
        }
        assert!(folders.syncing.lock().unwrap().is_empty());
        Ok(())
    }

    #[test]
    fn a_folder_with_an_object_is_durable_and_one_without_need_not_be() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let folder = root.path().join("a/b");
        assert!(!has_object(&folder));
        std::fs::create_dir_all(folder.join("c"))?;
        std::fs::write(folder.join("00000000000000000000#1"), "")?;
        assert!(!has_object(&folder));
        std::fs::write(folder.join("00000000000000000000"), "")?;
        assert!(has_object(&folder));

        let folders = folders(root.path());
        folders.remember(&folder);
        assert!(folders.is_durable(&folder) && folders.is_durable(&root.path().join("a")));
        folders.forget(&folder);
        assert!(!folders.is_durable(&folder) && !folders.is_durable(&root.path().join("a")));
        Ok(())
    }

    #[test]
    fn emptied_folders_go_with_their_last_file_and_are_made_again() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let folders = folders(root.path());
        let (file, other) = (root.path().join("a/b/object"), root.path().join("a/other"));
        folders.make_for(&file)?;
        std::fs::write(&other, "")?;
        folders.after_remove(&file)?;
        assert!(!root.path().join("a/b").exists() && other.exists());
        assert!(!folders.is_durable(&root.path().join("a/b")));
        std::fs::remove_file(&other)?;
        folders.after_remove(&other)?;
        assert!(!root.path().join("a").exists() && root.path().exists());
        folders.make_for(&file)?;
        assert!(root.path().join("a/b").is_dir());
        Ok(())
    }

    #[test]
    fn many_at_once_share_the_syncs_of_their_common_folder() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let folders = folders(root.path());
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..64)
                .map(|n| {
                    let file = root.path().join(format!("streams/{n}/object"));
                    let folders = &folders;
                    scope.spawn(move || folders.make_for(&file))
                })
                .collect();
            all.into_iter().try_for_each(|made| made.join().unwrap())
        })?;
        let made = std::fs::read_dir(root.path().join("streams"))?;
        assert_eq!(made.count(), 64);
        assert!(folders.syncing.lock().unwrap().is_empty());
        Ok(())
    }
}
