//! A run's directory: the store if it is not elsewhere, the histories, and what processes printed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use esm_core::id::ObjectId;
use esm_core::migration::MigrationService;
use esm_objectstore::{OpenOptions, Store};
use esm_testkit::containers::Azurite;

use super::Storage;
use crate::process::Warden;
use crate::workload;
use crate::writer::{Application, Part};

/// How large a world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Objects.
    pub(crate) objects: u32,
    /// Events that each object has in the beginning.
    pub(crate) events: u32,
}

/// A run's directory, and the store.
#[derive(Debug)]
pub(crate) struct World {
    root: PathBuf,
    storage: Storage,
    size: Size,
    warden: Warden,
}

/// The number of the application that fills the store.
const SEEDER: u32 = 0;

impl World {
    /// A new store, in an Azurite or else in this directory, which must be absent or empty.
    pub(crate) async fn make(
        root: &Path,
        azurite: Option<&Azurite>,
        size: Size,
        warden: &Warden,
    ) -> Result<Self> {
        std::fs::create_dir_all(root.join("histories"))
            .with_context(|| format!("cannot create {}", root.display()))?;
        let root = root.canonicalize()?;
        let storage = match (azurite, root.file_name().and_then(|name| name.to_str())) {
            (Some(azurite), Some(name)) => Storage::azurite(azurite, name),
            _ => Storage::directory(&root.join("store"))?,
        };
        let world = Self {
            root,
            storage,
            size,
            warden: warden.clone(),
        };
        let mut seeder = Application::open(
            &world.storage,
            &world.history(SEEDER),
            SEEDER,
            Part::default(),
        )
        .await?;
        for object in world.objects()? {
            seeder.seed(&object, size.events).await?;
        }
        Ok(world)
    }

    /// What watches over its processes.
    pub(crate) fn warden(&self) -> &Warden {
        &self.warden
    }

    /// How large it is.
    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// The objects.
    pub(crate) fn objects(&self) -> Result<Vec<ObjectId>> {
        workload::objects(self.size.objects)
    }

    /// Where the store is.
    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Something else in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where the histories are.
    pub(crate) fn histories(&self) -> PathBuf {
        self.root.join("histories")
    }

    /// The history of an application.
    pub(crate) fn history(&self, writer: u32) -> PathBuf {
        self.histories().join(format!("{writer}.ndjson"))
    }

    /// The store, for looking at: it is never written to.
    pub(crate) async fn look(&self) -> Result<Store> {
        let options = OpenOptions::new().read_only();
        self.storage.open(options).await
    }

    /// The migrations, for looking at.
    pub(crate) async fn migrations(&self) -> Result<MigrationService> {
        let store = self.look().await?;
        Ok(MigrationService::new(
            store.event_store(),
            store.records(),
            store.locks(),
        ))
    }

    /// What a process printed.
    pub(crate) fn printed(&self, name: &str) -> String {
        let path = self.root.join(format!("{name}.log"));
        std::fs::read_to_string(path).unwrap_or_default()
    }
}
