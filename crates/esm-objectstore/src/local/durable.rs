//! Folders that are known to survive a loss of power.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use object_store::Result;
use object_store::path::Path;

use super::directory::failure;
use super::sweep::is_staging;

/// How many folders are remembered as durable; forgetting one costs a sync.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(64 * 1024).expect("not zero");

/// Makes folders so that the entry of each is synced before anything is put into it, and remembers
/// which it has seen to.
#[derive(Debug)]
pub(super) struct DurableFolders {
    root: PathBuf,
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
    fn run(&self, folder: &FilePath) -> io::Result<()> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if *done >= ticket {
            return Ok(());
        }
        // everybody who has a ticket by now made their change before the sync that begins now
        let covered = self.asked.load(Ordering::SeqCst);
        sync(folder)?;
        *done = covered;
        Ok(())
    }
}

#[cfg(unix)]
fn sync(folder: &FilePath) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Folders cannot be synced on other systems.
#[cfg(not(unix))]
fn sync(_folder: &FilePath) -> io::Result<()> {
    Ok(())
}

impl DurableFolders {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            durable: Mutex::new(LruCache::new(REMEMBERED)),
            syncing: Mutex::default(),
        }
    }

    pub(super) fn root(&self) -> &FilePath {
        &self.root
    }

    /// Makes the folders that lead to this object.
    pub(super) async fn make_for(self: Arc<Self>, location: &Path) -> Result<()> {
        let Some(folder) = self.folder_of(location) else {
            return Ok(());
        };
        if self.is_durable(&folder) {
            return Ok(());
        }
        blocking(move || {
            if has_object(&folder) {
                self.remember(&folder);
                return Ok(());
            }
            match self.make(&folder) {
                // a folder on the way was emptied and removed by another meanwhile
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.forget(&folder);
                    self.make(&folder)
                }
                made => made,
            }
        })
        .await
    }

    /// Makes the name of an object durable, if there is a file of that name.
    pub(super) fn sync_name(&self, location: &Path) -> io::Result<()> {
        let mut file = self.root.clone();
        file.extend(
            location
                .parts()
                .collect::<Vec<_>>()
                .iter()
                .map(AsRef::as_ref),
        );
        // what cannot be looked at cannot be read back either
        match (file.try_exists().unwrap_or(false), file.parent()) {
            (true, Some(folder)) => sync(folder),
            _ => Ok(()),
        }
    }

    /// Syncs what is left of the folders of a deleted object.
    pub(super) fn after_delete(&self, location: &Path) -> io::Result<()> {
        let mut folder = self.folder_of(location);
        while let Some(path) = folder {
            match sync(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // emptied and removed: its entry in the folder above is what has to go
                    self.durable().pop(&path);
                    folder = path.parent().map(FilePath::to_owned);
                }
                other => return other,
            }
        }
        Ok(())
    }

    /// The folder of an object; nothing if that is the root.
    fn folder_of(&self, location: &Path) -> Option<PathBuf> {
        let mut parts: Vec<_> = location.parts().collect();
        parts.pop()?;
        if parts.is_empty() {
            return None;
        }
        let mut folder = self.root.clone();
        folder.extend(parts.iter().map(AsRef::as_ref));
        Some(folder)
    }

    fn make(&self, folder: &FilePath) -> io::Result<()> {
        if folder == self.root || self.is_durable(folder) {
            return Ok(());
        }
        let Some(above) = folder.parent() else {
            return Ok(());
        };
        self.make(above)?;
        match std::fs::create_dir(folder) {
            // another may have made it just now and not synced it yet
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => self.sync_shared(above)?,
        }
        self.durable().put(folder.to_owned(), ());
        Ok(())
    }

    fn sync_shared(&self, folder: &FilePath) -> io::Result<()> {
        let lock = || self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = Arc::clone(lock().entry(folder.to_owned()).or_default());
        let synced = shared.run(folder);
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

    fn remember(&self, folder: &FilePath) {
        let mut durable = self.durable();
        for folder in folder.ancestors().take_while(|it| *it != self.root) {
            durable.put(folder.to_owned(), ());
        }
    }

    fn forget(&self, folder: &FilePath) {
        let mut durable = self.durable();
        for folder in folder.ancestors() {
            durable.pop(folder);
        }
    }

    fn is_durable(&self, folder: &FilePath) -> bool {
        self.durable().get(folder).is_some()
    }

    fn durable(&self) -> std::sync::MutexGuard<'_, LruCache<PathBuf, ()>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a folder holds an object. Then it is durable, and so are those that lead to it: whoever
/// put the object there synced them before.
fn has_object(folder: &FilePath) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        entry.file_type().is_ok_and(|kind| kind.is_file()) && !is_staging(&entry.path())
    })
}

/// Runs what blocks where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?.map_err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn folders_are_made_from_the_root_down_and_remembered() {
        let root = tempfile::tempdir().unwrap();
        let folders = Arc::new(DurableFolders::new(root.path().to_owned()));
        let key = Path::from("a/b/c/object");
        Arc::clone(&folders).make_for(&key).await.unwrap();
        assert!(root.path().join("a/b/c").is_dir());
        for folder in ["a", "a/b", "a/b/c"] {
            assert!(folders.is_durable(&root.path().join(folder)), "{folder}");
        }
        assert!(folders.syncing.lock().unwrap().is_empty());
    }

    #[test]
    fn a_folder_with_an_object_is_durable_and_one_without_need_not_be() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        assert!(!has_object(&folder));
        std::fs::create_dir_all(folder.join("c")).unwrap();
        std::fs::write(folder.join("00000000000000000000#1"), "").unwrap();
        assert!(!has_object(&folder));
        std::fs::write(folder.join("00000000000000000000"), "").unwrap();
        assert!(has_object(&folder));

        let folders = DurableFolders::new(root.path().to_owned());
        folders.remember(&folder);
        assert!(folders.is_durable(&folder) && folders.is_durable(&root.path().join("a")));
        folders.forget(&folder);
        assert!(!folders.is_durable(&folder) && !folders.is_durable(&root.path().join("a")));
    }

    #[tokio::test]
    async fn a_removed_folder_is_made_again() {
        let root = tempfile::tempdir().unwrap();
        let folders = Arc::new(DurableFolders::new(root.path().to_owned()));
        let key = Path::from("a/b/object");
        Arc::clone(&folders).make_for(&key).await.unwrap();
        std::fs::remove_dir_all(root.path().join("a")).unwrap();
        folders.after_delete(&key).unwrap();
        Arc::clone(&folders).make_for(&key).await.unwrap();
        assert!(root.path().join("a/b").is_dir());
    }

    #[tokio::test]
    async fn many_at_once_share_the_syncs_of_their_common_folder() {
        let root = tempfile::tempdir().unwrap();
        let folders = Arc::new(DurableFolders::new(root.path().to_owned()));
        let all = (0..64).map(|n| {
            let folders = Arc::clone(&folders);
            tokio::spawn(folders.make_owned(Path::from(format!("streams/{n}/object"))))
        });
        for made in futures::future::join_all(all).await {
            made.unwrap().unwrap();
        }
        assert_eq!(
            std::fs::read_dir(root.path().join("streams"))
                .unwrap()
                .count(),
            64
        );
        assert!(folders.syncing.lock().unwrap().is_empty());
    }

    impl DurableFolders {
        async fn make_owned(self: Arc<Self>, key: Path) -> Result<()> {
            self.make_for(&key).await
        }
    }
}
