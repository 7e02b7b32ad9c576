//! What the dead left: locks, published phases, manifests.

use crate::backup::BackupService;
use crate::doctor::Subject;
use crate::error::{ErrorKind, Result};
use crate::id::StreamRef;
use crate::protocol::phase::MigrationPhase;
use crate::repair::service::{End, Mended, Repair, unexpected};
use crate::router::RoutingTable;
use crate::store::HolderState;

const OVERTAKEN: &str = "another migration publishes its phases";

impl Repair {
    /// Breaks a lock whose process has certainly ended.
    pub(super) async fn break_lock(&self, subject: &Subject) -> Result<Mended> {
        let Subject::Lock(name) = subject else {
            return Err(unexpected("a lock"));
        };
        let Some(lock) = self.locks.inspect(name).await? else {
            return Ok(Mended::nothing("the lock was never held"));
        };
        match lock.holder_state(self.environment.clock.now()) {
            HolderState::Free if lock.damage.is_none() => {
                return Ok(Mended::nothing("nobody holds the lock"));
            }
            HolderState::Dead => {}
            _ => {
                let why = "its holder may be alive: break the lock yourself, or wait";
                return Ok(Mended::left(why));
            }
        }
        let what = format!("break the lock of {}, whose process has ended", lock.holder);
        if let Some(plan) = self.only_plan(&what) {
            return Ok(plan);
        }
        match self.locks.break_lock(name, lock.token).await {
            Ok(()) => Ok(Mended::done(format!("broke the lock of {}", lock.holder))),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::Conflict { .. }
                ) =>
            {
                Ok(Mended::nothing("the lock has another holder by now"))
            }
            Err(error) => Err(error),
        }
    }

    /// Removes a migration that is over from the index of those that publish phases.
    pub(super) async fn delist(&self, subject: &Subject) -> Result<Mended> {
        let Subject::Migration(migration) = subject else {
            return Err(unexpected("a migration"));
        };
        if self.end_of(*migration).await? == End::AtWork {
            return Ok(Mended::left("the migration is not over"));
        }
        let table = RoutingTable::new(self.records.clone());
        let Some(objects) = table.index().await?.migrations.remove(migration) else {
            return Ok(Mended::nothing("the index does not name it"));
        };
        if let Some(plan) = self.only_plan("remove it from the index of published phases") {
            return Ok(plan);
        }
        let objects: Vec<_> = objects.into_iter().collect();
        table.delist(*migration, &objects).await?;
        Ok(Mended::done("removed it from the index"))
    }

    /// Publishes the last phase of an object's migration that is over: that its books are closed, or
    /// that it is as before.
    pub(super) async fn end_phase(&self, subject: &Subject) -> Result<Mended> {
        let Subject::Object(object) = subject else {
            return Err(unexpected("an object"));
        };
        let table = RoutingTable::new(self.records.clone());
        let Some(entry) = table.newest(object).await? else {
            return Ok(Mended::nothing("no phase is published"));
        };
        if self.end_of(entry.migration).await? == End::AtWork {
            return Ok(Mended::left("the migration is not over"));
        }
        let phase = if self.was_closed_to(&entry.source, &entry.target).await? {
            MigrationPhase::BookClosed
        } else {
            MigrationPhase::Normal
        };
        if entry.phase == phase {
            return Ok(Mended::nothing(format!("the phase is {phase}")));
        }
        if let Some(plan) = self.only_plan(&format!("publish the phase {phase}")) {
            return Ok(plan);
        }
        match table.advance_to(object, &entry, phase).await {
            // where another migration publishes its phases, none of this one is published
            Ok(()) => {}
            Err(error) if *error.kind() == ErrorKind::Fenced => {
                return Ok(Mended::nothing(OVERTAKEN));
            }
            Err(error) => return Err(error),
        }
        let newest = table.newest(object).await?;
        let is_published = newest
            .is_some_and(|newest| newest.migration == entry.migration && newest.phase == phase);
        Ok(if is_published {
            Mended::done(format!("published the phase {phase}"))
        } else {
            Mended::nothing(OVERTAKEN)
        })
    }

    async fn was_closed_to(&self, source: &StreamRef, target: &StreamRef) -> Result<bool> {
        let tail = self.stores.of(source)?.tail(&source.stream).await?;
        let closed_to = tail.close().and_then(|close| close.target.as_ref());
        Ok(closed_to.is_some_and(|closed| closed.stream == target.stream))
    }

    /// Removes a manifest whose files are gone.
    pub(super) async fn remove_manifest(&self, subject: &Subject) -> Result<Mended> {
        let (Subject::Backup(id), Some(backups)) = (subject, &self.backups) else {
            return Err(unexpected("a backup that is known here"));
        };
        let manifest = match backups.manifest(id).await {
            Ok(manifest) => manifest,
            Err(error) if *error.kind() == ErrorKind::NotFound => {
                return Ok(Mended::nothing("the backup is gone"));
            }
            Err(error) => return Err(error),
        };
        match backups.has_files(id).await {
            Ok(false) => {}
            Ok(true) => return Ok(Mended::left("the backup has files")),
            Err(error) if *error.kind() == ErrorKind::NotFound => {
                return Ok(Mended::nothing("the backup is gone"));
            }
            Err(error) => return Err(error),
        }
        let name = BackupService::lock_name(id)?;
        let lock = self.locks.inspect(&name).await?;
        if lock.is_some_and(|lock| lock.held && !lock.abandoned) {
            return Ok(Mended::left("the backup is in use"));
        }
        if let Some(plan) = self.only_plan("remove the manifest, whose files are gone") {
            return Ok(plan);
        }
        // never the files: they may be put back at any time, and then this costs the manifest alone
        Ok(if backups.delete_manifest(&manifest).await? {
            Mended::done("removed the manifest")
        } else {
            Mended::nothing("another backup has taken the name")
        })
    }
}
