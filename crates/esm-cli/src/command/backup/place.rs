//! The store that holds the backups.

use std::sync::Arc;

use esm_core::Result;
use esm_core::store::BackupProvider;

use crate::session::{Access, Session};

/// The store that holds the backups.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct BackupPlace {
    /// URL of the store that holds the backups (as for --store); defaults to the store itself.
    #[arg(long = "backup", env = "ESM_BACKUP", value_name = "URL")]
    address: Option<String>,
}

impl BackupPlace {
    /// Access to the store itself for a command that changes backups.
    pub(super) fn access_to_change(&self) -> Access {
        match self.address {
            Some(_) => Access::Read,
            None => Access::Write,
        }
    }

    /// Opens the backups.
    ///
    /// # Errors
    /// Those of opening the store.
    pub(super) async fn open(
        &self,
        session: &Session,
        access: Access,
    ) -> Result<Arc<dyn BackupProvider>> {
        session.backups_at(self.address.as_deref(), access).await
    }
}
