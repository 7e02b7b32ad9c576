//! Which backups may go, and removing them.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::Serialize;

use crate::backup::service::BackupService;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BackupId, ObjectId};
use crate::store::{BackupKind, BackupManifest};

/// Which backups are removed.
///
/// Defaults to those whose `keep_until` has passed, except archives. A backup is never removed before
/// its `keep_until`. One without it is removed only by [`older_than`](Self::older_than).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrunePolicy {
    older_than: Option<Duration>,
    keep_newest: usize,
    archives: bool,
    dry_run: bool,
}

impl PrunePolicy {
    /// The defaults: what is past its `keep_until`, except archives.
    pub fn new() -> Self {
        Self::default()
    }

    /// Includes backups without a `keep_until` once they are older than this.
    #[must_use]
    pub fn older_than(mut self, age: Duration) -> Self {
        self.older_than = Some(age);
        self
    }

    /// Keeps the newest `count` of each series, whatever else applies. A series is the backups of the
    /// same kind and the same object; those of several objects are a series if they begin with the
    /// same one.
    #[must_use]
    pub fn keep_newest(mut self, count: usize) -> Self {
        self.keep_newest = count;
        self
    }

    /// Includes archives of closed streams.
    #[must_use]
    pub fn archives(mut self) -> Self {
        self.archives = true;
        self
    }

    /// Only returns what would be removed.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    fn allows(&self, backup: &Listed, now: Timestamp) -> Option<PruneReason> {
        if backup.kind == BackupKind::Archive && !self.archives {
            return None;
        }
        match backup.keep_until {
            Some(until) => (until <= now).then_some(PruneReason::Expired { keep_until: until }),
            None => {
                let age = self.older_than?;
                // before the beginning of the calendar nothing was made
                let limit = now.checked_sub(age).ok()?;
                let created_at = backup.created_at;
                (created_at < limit).then_some(PruneReason::Old { created_at })
            }
        }
    }
}

/// Why a backup is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PruneReason {
    /// Its retention has ended.
    Expired {
        /// When it ended.
        keep_until: Timestamp,
    },
    /// Its files are gone: it was deleted while it was written. Whatever the policy says.
    NoFiles,
    /// It has no `keep_until`, and is older than the policy's limit.
    Old {
        /// When it was made.
        created_at: Timestamp,
    },
}

/// A backup that was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PrunedBackup {
    /// Its manifest.
    pub manifest: BackupManifest,
    /// Why.
    pub reason: PruneReason,
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
    /// Damaged manifests. How long these backups are to be kept is not known, so they are kept.
    pub damaged: Vec<Error>,
    /// How many were kept.
    pub kept: u64,
    /// Whether nothing was actually removed.
    pub dry_run: bool,
}

/// What decides about a backup.
#[derive(Debug, Clone)]
struct Listed {
    id: BackupId,
    kind: BackupKind,
    created_at: Timestamp,
    keep_until: Option<Timestamp>,
    single: bool,
    first_object: Option<ObjectId>,
}

impl Listed {
    fn of(manifest: &BackupManifest) -> Self {
        Self {
            id: manifest.id.clone(),
            kind: manifest.kind,
            created_at: manifest.created_at,
            keep_until: manifest.settings.keep_until,
            single: manifest.sections == 1,
            first_object: manifest.first_object.clone(),
        }
    }
}

/// Decides which may go: pure. Oldest first.
fn choose(
    mut all: Vec<Listed>,
    now: Timestamp,
    policy: &PrunePolicy,
) -> Vec<(BackupId, PruneReason)> {
    // newest first; the id decides between equals, so that a repetition decides alike
    all.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    let mut newer = HashMap::new();
    let mut chosen = Vec::new();
    for backup in &all {
        let series = (backup.kind, backup.single, backup.first_object.clone());
        let newer: &mut usize = newer.entry(series).or_default();
        if *newer >= policy.keep_newest
            && let Some(reason) = policy.allows(backup, now)
        {
            chosen.push((backup.id.clone(), reason));
        }
        *newer += 1;
    }
    chosen.reverse();
    chosen
}

impl BackupService {
    /// Removes the backups that the policy names, and returns which. If one cannot be removed, it
    /// continues with the next. A backup that took the name of a listed one meanwhile is kept.
    ///
    /// # Errors
    /// Those of listing; then nothing was removed. `Cancelled` on request.
    ///
    /// # Idempotence
    /// May be repeated, and resumes where an interrupted one stopped.
    pub async fn prune(&self, now: Timestamp, policy: &PrunePolicy) -> Result<Pruned> {
        let (all, damaged) = split_damaged(self.list()).await?;
        let (mut chosen, mut whole) = (Vec::new(), Vec::new());
        for manifest in &all {
            self.refuse_cancelled()?;
            let backup = Listed::of(manifest);
            match self.provider.has_files(&backup.id).await {
                Ok(false) => chosen.push((backup.id, PruneReason::NoFiles)),
                // one that cannot be examined is judged like any other
                _ => whole.push(backup),
            }
        }
        chosen.extend(choose(whole, now, policy));
        let mut pruned = Pruned {
            kept: (all.len() + damaged.len()) as u64,
            damaged,
            dry_run: policy.dry_run,
            ..Pruned::default()
        };
        let all: HashMap<BackupId, BackupManifest> =
            all.into_iter().map(|one| (one.id.clone(), one)).collect();
        for (id, reason) in chosen {
            self.refuse_cancelled()?;
            let Some(judged) = all.get(&id) else { continue };
            let removed = if policy.dry_run {
                Ok(true)
            } else {
                self.provider.delete_unchanged(judged).await
            };
            match removed {
                Ok(true) => pruned.removed.push(PrunedBackup {
                    manifest: judged.clone(),
                    reason,
                }),
                Ok(false) => continue,
                Err(error) => pruned.failed.push(PruneFailure { id, error }),
            }
            pruned.kept -= 1;
        }
        Ok(pruned)
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2024-06-01T00:00:00Z";

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn backup(id: &str, created: &str, keep_until: Option<&str>) -> Listed {
        Listed {
            id: BackupId::new(id).unwrap(),
            kind: BackupKind::Backup,
            created_at: time(created),
            keep_until: keep_until.map(time),
            single: true,
            first_object: Some("order/1".parse().unwrap()),
        }
    }

    fn chosen(all: &[Listed], policy: PrunePolicy) -> Vec<String> {
        let chosen = choose(all.to_vec(), time(NOW), &policy);
        chosen.into_iter().map(|(id, _)| id.to_string()).collect()
    }

    fn samples() -> Vec<Listed> {
        let (past, future) = (Some("2024-05-01T00:00:00Z"), Some("2024-07-01T00:00:00Z"));
        let archive = Listed {
            kind: BackupKind::Archive,
            ..backup("archive", "2024-01-01T00:00:00Z", past)
        };
        vec![
            backup("kept", "2024-01-03T00:00:00Z", future),
            backup("expired-2", "2024-01-02T00:00:00Z", past),
            backup("for-ever", "2024-01-01T00:00:00Z", None),
            backup("expired-1", "2024-01-01T00:00:00Z", past),
            backup("now", "2024-05-01T00:00:00Z", Some(NOW)),
            archive,
        ]
    }

    #[test]
    fn only_what_is_past_its_time_goes_oldest_first() {
        let all = samples();
        assert_eq!(
            chosen(&all, PrunePolicy::new()),
            ["expired-1", "expired-2", "now"]
        );
        let archives = PrunePolicy::new().archives();
        assert_eq!(
            chosen(&all, archives),
            ["archive", "expired-1", "expired-2", "now"]
        );
    }

    #[test]
    fn one_without_an_end_goes_only_when_told_by_age_and_one_with_never_early() {
        let all = samples();
        let old = PrunePolicy::new().older_than(Duration::from_hours(24 * 30));
        assert_eq!(
            chosen(&all, old),
            ["expired-1", "for-ever", "expired-2", "now"]
        );
        let older = PrunePolicy::new().older_than(Duration::from_hours(24 * 365));
        assert_eq!(chosen(&all, older), ["expired-1", "expired-2", "now"]);
        let absurd = PrunePolicy::new().older_than(Duration::MAX);
        assert_eq!(chosen(&all, absurd), ["expired-1", "expired-2", "now"]);
    }

    #[test]
    fn the_newest_of_each_series_stay() {
        let mut all = samples();
        all.push(Listed {
            first_object: Some("order/2".parse().unwrap()),
            ..backup(
                "other",
                "2023-01-01T00:00:00Z",
                Some("2023-02-01T00:00:00Z"),
            )
        });
        all.push(Listed {
            single: false,
            ..backup("many", "2023-01-01T00:00:00Z", Some("2023-02-01T00:00:00Z"))
        });
        let two = PrunePolicy::new().keep_newest(2);
        assert_eq!(chosen(&all, two), ["expired-1", "expired-2"]);
        let three = PrunePolicy::new().keep_newest(3);
        assert_eq!(chosen(&all, three), ["expired-1"]);
        assert!(chosen(&all, PrunePolicy::new().keep_newest(9)).is_empty());
    }
}
