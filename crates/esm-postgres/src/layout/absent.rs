//! What a store of another library does not have: locks and backups of esm's.

use std::fmt::Display;

use async_trait::async_trait;
use esm_core::id::{BackupId, FencingToken, LockName};
use esm_core::store::{
    BackupDraft, BackupManifest, BackupProvider, BackupReader, BackupWriter, LockAttempt,
    LockGrant, LockInfo, LockProvider, LockRequest,
};
use esm_core::{Error, Result};
use futures::stream::{self, BoxStream, StreamExt as _};

/// What esm's own commands write is refused: the tables belong to applications.
pub(super) fn refused(what: impl Display) -> Error {
    let message =
        format!("esm writes nothing of its own beside the tables of another library: {what}");
    Error::unsupported(message).with_hint(
        "list, read, export, plan and back up the objects (esm backup create --backup URL), or \
         import an export into a store of esm's",
    )
}

/// No locks: none is held, and none can be acquired.
#[derive(Debug)]
pub(super) struct NoLocks;

#[async_trait]
impl LockProvider for NoLocks {
    fn name(&self) -> &str {
        "none"
    }

    async fn try_acquire(&self, name: &LockName, _request: &LockRequest) -> Result<LockAttempt> {
        Err(refused(format_args!("lock {name}")))
    }

    async fn renew(&self, grant: &LockGrant) -> Result<()> {
        Err(refused(format_args!("lock {}", grant.name)))
    }

    async fn release(&self, _grant: &LockGrant) -> Result<()> {
        Ok(())
    }

    async fn inspect(&self, _name: &LockName) -> Result<Option<LockInfo>> {
        Ok(None)
    }

    async fn list(&self) -> Result<Vec<LockInfo>> {
        Ok(Vec::new())
    }

    async fn break_lock(&self, name: &LockName, _token: FencingToken) -> Result<()> {
        Err(Error::not_found(format!("no lock is held: {name}")))
    }
}

/// No backups: there are none, and none can be created.
#[derive(Debug)]
pub(super) struct NoBackups;

fn no_backup(id: &BackupId) -> Error {
    Error::not_found(format!("no such backup: {id}"))
        .with_hint("name the store that holds the backups: --backup URL")
}

#[async_trait]
impl BackupProvider for NoBackups {
    fn name(&self) -> &str {
        "none"
    }

    async fn create(&self, draft: BackupDraft) -> Result<Box<dyn BackupWriter>> {
        Err(refused(format_args!("backup {}", draft.id)))
    }

    async fn manifest(&self, id: &BackupId) -> Result<BackupManifest> {
        Err(no_backup(id))
    }

    async fn open(&self, id: &BackupId) -> Result<Box<dyn BackupReader>> {
        Err(no_backup(id))
    }

    fn list(&self) -> BoxStream<'_, Result<BackupManifest>> {
        stream::empty().boxed()
    }

    async fn delete(&self, id: &BackupId) -> Result<()> {
        Err(no_backup(id))
    }
}
