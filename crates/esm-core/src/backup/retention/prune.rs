//! Removing backups.

use std::collections::HashMap;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::Serialize;

use crate::backup::retention::policy::{Fate, Listed, PrunePolicy, choose};
use crate::backup::retention::reason::{KeepReason, PruneReason};
use crate::backup::service::BackupService;
use crate::error::{Error, ErrorKind, Result};
use crate::id::BackupId;
use crate::store::{BackupManifest, NewerBackup};

/// A backup that was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PrunedBackup {
    /// Its manifest.
    pub manifest: BackupManifest,
    /// Why.
    pub reason: PruneReason,
}

/// A backup that was kept, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeptBackup {
    /// Its manifest.
    pub manifest: BackupManifest,
    /// Why.
    pub reason: KeepReason,
}

/// A backup that could not be removed.
#[derive(Debug)]
#[non_exhaustive]
pub struct PruneFailure {
    /// The backup.
    pub id: BackupId,
    /// Why not.
    pub error: Error,
}

/// What pruning did, or would do.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Pruned {
    /// Those that were removed, or would be; oldest first.
    pub removed: Vec<PrunedBackup>,
    /// Those that could not be removed.
    pub failed: Vec<PruneFailure>,
    /// Damaged manifests, none of a newer format. How long these backups are to be kept is not known, so they are kept.
    pub damaged: Vec<Error>,
    /// Those that were kept, or would be; oldest first.
    pub kept: Vec<KeptBackup>,
    /// Whether nothing was actually removed.
    pub dry_run: bool,
}

impl BackupService {
    /// Removes the backups that the policy names, and returns the reason for each that is removed or
    /// kept. If one cannot be removed, it continues with the next. Kept are also a backup that took the
    /// name of a listed one meanwhile, and one whose [lock](BackupService::lock_name) is held, if the
    /// service has [locks](BackupService::with_locks).
    ///
    /// A backup that is being written is not listed, and nothing of it is removed.
    ///
    /// # Errors
    /// Those of listing; `Invalid` for absurd rules; `Unsupported` where there is a backup of a newer
    /// format, which may need any of the others. Then nothing was removed. `Cancelled` on request.
    ///
    /// # Idempotence
    /// May be repeated, and resumes where an interrupted one stopped.
    pub async fn prune(&self, now: Timestamp, policy: &PrunePolicy) -> Result<Pruned> {
        policy.check()?;
        let (all, damaged) = split_damaged(self.list()).await?;
        refuse_newer(&damaged)?;
        let (mut fates, mut whole) = (Vec::new(), Vec::new());
        for manifest in &all {
            self.refuse_cancelled()?;
            let backup = Listed::of(manifest);
            match self.provider.has_files(&backup.id).await {
                Ok(false) => fates.push((backup.id, Fate::Removed(PruneReason::NoFiles))),
                // one that cannot be examined is judged like any other
                _ => whole.push(backup),
            }
        }
        fates.extend(choose(whole, now, policy));
        let mut pruned = Pruned {
            damaged,
            dry_run: policy.dry_run,
            ..Pruned::default()
        };
        let mut all: HashMap<BackupId, BackupManifest> =
            all.into_iter().map(|one| (one.id.clone(), one)).collect();
        for (id, fate) in fates {
            self.refuse_cancelled()?;
            let Some(manifest) = all.remove(&id) else {
                continue;
            };
            match self.carry_out(&manifest, fate, policy.dry_run).await {
                Ok(Fate::Removed(reason)) => pruned.removed.push(PrunedBackup { manifest, reason }),
                Ok(Fate::Kept(reason)) => pruned.kept.push(KeptBackup { manifest, reason }),
                Err(error) => pruned.failed.push(PruneFailure { id, error }),
            }
        }
        Ok(pruned)
    }

    /// Removes a backup that is to be removed, and returns what became of it.
    async fn carry_out(&self, judged: &BackupManifest, fate: Fate, dry_run: bool) -> Result<Fate> {
        let Fate::Removed(reason) = &fate else {
            return Ok(fate);
        };
        if let Some(locks) = &self.locks {
            let lock = locks.inspect(&Self::lock_name(&judged.id)?).await?;
            if let Some(lock) = lock.filter(|lock| lock.held && !lock.abandoned) {
                let holder = lock.holder;
                return Ok(Fate::Kept(KeepReason::InUse { holder }));
            }
        }
        let is_removed = match reason {
            _ if dry_run => true,
            // files that are put back meanwhile stay
            PruneReason::NoFiles => self.provider.delete_manifest(judged).await?,
            _ => self.provider.delete_unchanged(judged).await?,
        };
        if is_removed {
            Ok(fate)
        } else {
            Ok(Fate::Kept(KeepReason::Changed))
        }
    }
}

/// Refuses to judge backups beside one that this version cannot read: it may be one that cannot be
/// restored without another.
fn refuse_newer(damaged: &[Error]) -> Result<()> {
    match damaged.iter().find(|error| NewerBackup::caused(error)) {
        Some(newer) => Err(Error::unsupported(format!(
            "nothing was pruned beside a backup that may need others: {newer}"
        ))
        .with_hint("update esm, and prune with the newest version that writes these backups")),
        None => Ok(()),
    }
}

/// Collects manifests, and the errors of those that are damaged.
///
/// # Errors
/// Every other error.
pub async fn split_damaged(
    mut listed: BoxStream<'_, Result<BackupManifest>>,
) -> Result<(Vec<BackupManifest>, Vec<Error>)> {
    let (mut manifests, mut damaged) = (Vec::new(), Vec::new());
    while let Some(found) = listed.next().await {
        match found {
            Ok(manifest) => manifests.push(manifest),
            Err(error) if *error.kind() == ErrorKind::Corrupt => damaged.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok((manifests, damaged))
}
