//! Backups and archives, by place.
//!
//! A manifest costs a request, so a few of them are shown; `esm backup list` lists all.

use std::sync::Arc;
use std::time::Duration;

use esm_core::backup::split_damaged;
use esm_core::{Error, Result};
use esm_view::backup::ShownBackups;
use futures::StreamExt as _;

use crate::cache::Load;
use crate::source::Source;

/// Manifests that are read of a place.
pub(crate) const READ: usize = 30;

/// The first backups of a place.
#[derive(Debug)]
pub(crate) struct BackupPlace {
    pub(crate) location: String,
    pub(crate) backups: Result<ShownBackups, Error>,
}

impl BackupPlace {
    /// Whether there may be more than are shown.
    pub(crate) fn is_cut(&self) -> bool {
        let number = |shown: &ShownBackups| shown.backups.len() + shown.damaged.len();
        self.backups.as_ref().is_ok_and(|s| number(s) >= READ)
    }
}

/// Loads the backups of each place.
#[derive(Debug)]
pub(crate) struct BackupsLoad(pub(crate) Arc<Source>);

impl Load for BackupsLoad {
    type Value = Vec<BackupPlace>;

    const FRESH: Duration = Duration::from_secs(30);

    async fn load(&mut self) -> Result<Vec<BackupPlace>> {
        let mut places = Vec::new();
        for place in self.0.backups() {
            let first = place.provider.list().take(READ).boxed();
            let listed = split_damaged(first).await;
            places.push(BackupPlace {
                location: place.location.clone(),
                backups: listed.map(|(manifests, damaged)| ShownBackups::new(manifests, &damaged)),
            });
        }
        Ok(places)
    }
}
