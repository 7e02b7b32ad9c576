//! The run that shares servers: finds a server, or starts it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::keeper::Keeper;
use super::server::Server;
use super::{docker, program};

/// The owner of servers: a run of nextest, or else this process.
#[derive(Debug)]
pub(super) struct Run {
    /// The directory that the run shares.
    directory: PathBuf,
    keeper: Keeper,
}

impl Run {
    /// The run that this process belongs to.
    pub(super) fn current() -> Self {
        // nextest starts every test as its own process, and is the parent of each
        let (name, anchor) = match std::env::var("NEXTEST_RUN_ID") {
            Ok(id) => (id, std::os::unix::process::parent_id()),
            Err(_) => {
                let id = std::process::id();
                (format!("process-{id}"), id)
            }
        };
        Self::of(&name, anchor)
    }

    /// The run of this name, which ends with this process.
    pub(super) fn of(name: &str, anchor: u32) -> Self {
        Self {
            directory: std::env::temp_dir().join(format!("esm-servers-{name}")),
            keeper: Keeper { anchor },
        }
    }

    /// The state of a kind of server, shared by the tests of this run.
    pub(super) fn directory(&self, kind: &str) -> PathBuf {
        self.directory.join(kind)
    }

    /// Returns the address of this run's server of a kind. Starts it if no earlier test has.
    ///
    /// # Errors
    /// Why there is none, even when an earlier test failed to start it.
    pub(super) async fn server<S: Server>(self) -> Result<String, String> {
        let directory = self.directory(S::NAME);
        let made = fs::create_dir_all(&directory).and_then(|()| lock(&directory));
        // one test starts it, the others wait; the lock of a killed process is released
        let _locked = made.map_err(|error| format!("{}: {error}", directory.display()))?;
        let (address, failure) = (directory.join("address"), directory.join("failure"));
        if let Ok(why) = fs::read_to_string(&failure) {
            return Err(why);
        }
        if let Ok(found) = fs::read_to_string(&address)
            && S::prepare(&found).await.is_ok()
        {
            return Ok(found);
        }
        self.keeper.remove_in_the_end(&self.directory)?;
        let started = self.start::<S>(&directory).await;
        let noted = match &started {
            Ok(found) => fs::write(&address, found),
            Err(why) => fs::write(&failure, why),
        };
        noted.map_err(|error| error.to_string())?;
        started
    }

    async fn start<S: Server>(&self, directory: &Path) -> Result<String, String> {
        let contained = match docker::answers() {
            Ok(()) => docker::contained::<S>(&self.keeper).await,
            Err(why) => Err(why),
        };
        let Err(no_container) = contained else {
            return contained;
        };
        let started = program::started::<S>(directory, &self.keeper).await;
        started.map_err(|why| format!("{why}; and through Docker: {no_container}"))
    }
}

/// Waits until this process alone has the directory, for as long as the file is open.
fn lock(directory: &Path) -> std::io::Result<File> {
    let file = File::create(directory.join("lock"))?;
    // meanwhile another process may wait for this one
    tokio::task::block_in_place(|| file.lock())?;
    Ok(file)
}
