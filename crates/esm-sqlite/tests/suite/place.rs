//! A file for a test.

use std::path::PathBuf;
use std::sync::Arc;

use esm_core::clock::Environment;
use esm_sqlite::{OpenOptions, Store};
use esm_testkit::SteppedClock;
use tempfile::TempDir;

/// A folder for one file, and its time. A handle is a process that has just started: it has
/// connections of its own, and shares nothing but the file.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) clock: SteppedClock,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: SteppedClock::default(),
        }
    }
}

impl Place {
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("shop.db")
    }

    pub(crate) fn address(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    pub(crate) async fn store(&self) -> Store {
        let environment = Environment {
            clock: Arc::new(self.clock.clone()),
            ..Environment::system()
        };
        let options = OpenOptions::new().with_environment(environment);
        esm_sqlite::open_or_create(&self.address(), options)
            .await
            .unwrap()
    }

    /// A connection of another program, to look at the tables and to damage them.
    pub(crate) fn connection(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection
            .busy_timeout(std::time::Duration::from_secs(10))
            .unwrap();
        connection
    }
}
