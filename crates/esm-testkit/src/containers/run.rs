//! The run that servers are started for, and finding or starting one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keeper::Keeper;
use super::server::Server;
use super::{docker, program};

/// What servers are started for and end with: a run of nextest, else this process.
#[derive(Debug)]
pub(super) struct Run {
    /// What is shared within the run.
    directory: PathBuf,
    keeper: Keeper,
}

impl Run {
    /// The run that this process belongs to.
    pub(super) fn current() -> Self {
        // nextest starts every test as a process of its own, and is the parent of each
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

    /// What tests of this run know of a kind of server.
    pub(super) fn directory(&self, kind: &str) -> PathBuf {
        self.directory.join(kind)
    }

    /// The address of this run's server of a kind; starts it if no test before has.
    ///
    /// # Errors
    /// Why there is none, also when a test before could not start one.
    pub(super) async fn server<S: Server>(self) -> Result<String, String> {
        let directory = self.directory(S::NAME);
        let made = fs::create_dir_all(&directory).and_then(|()| lock(&directory));
        // one test starts it, the others wait for that; a process that is killed gives it back
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
    // another process may wait for what this one does meanwhile
    tokio::task::block_in_place(|| file.lock())?;
    Ok(file)
}

/// Waits until a server is as tests expect it.
///
/// # Errors
/// What is wrong with it after a long time; what `has_ended` says.
pub(super) async fn ready<S: Server>(
    address: &str,
    mut has_ended: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    let mut wrong = String::new();
    for _ in 0..1200 {
        has_ended()?;
        match S::prepare(address).await {
            Ok(()) => return Ok(()),
            Err(why) => wrong = why,
        }
        pause().await;
    }
    Err(format!("it is not ready after a minute: {wrong}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a real server's time, which no clock of a test decides"
)]
pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
