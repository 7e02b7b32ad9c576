//! Which backups go, and why: pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use crate::backup::retention::reason::{KeepReason, PruneReason};
use crate::backup::retention::rules::{KeepRules, KeptOfSeries};
use crate::error::Result;
use crate::id::{BackupId, MigrationId, ObjectId};
use crate::store::{BackupKind, BackupManifest};

/// Which backups are removed.
///
/// Defaults to those whose `keep_until` has passed, except archives. A backup is never removed before
/// its `keep_until`. One without it is removed only by [`older_than`](Self::older_than) or
/// [`superseded`](Self::superseded).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrunePolicy {
    older_than: Option<Duration>,
    rules: KeepRules,
    superseded: bool,
    group_by: Option<String>,
    migrations: BTreeSet<MigrationId>,
    archives: bool,
    pub(super) dry_run: bool,
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

    /// Keeps what these rules name of each series, whatever else applies. A series is the backups of
    /// the same kind and the same object; those of several objects are a series if they begin with the
    /// same one. [`group_by`](Self::group_by) makes series by a tag.
    #[must_use]
    pub fn keep(mut self, rules: KeepRules) -> Self {
        self.rules = rules;
        self
    }

    /// Includes backups of one object without a `keep_until` that no [rule](Self::keep) keeps. Without
    /// rules it includes nothing. Backups of several objects are not included, because their manifests
    /// do not tell which ones: a newer one may hold fewer. Those of a [group](Self::group_by) are. Never
    /// included are archives, which are of different streams, and backups of migrations.
    #[must_use]
    pub fn superseded(mut self) -> Self {
        self.superseded = true;
        self
    }

    /// Makes a series of the backups whose tag of this key has the same value, of one object or of
    /// several. The caller vouches that a newer one of them holds what an older one holds. Archives,
    /// backups of migrations and those without the tag stay in the series that they are in otherwise.
    #[must_use]
    pub fn group_by(mut self, tag: impl Into<String>) -> Self {
        self.group_by = Some(tag.into());
        self
    }

    /// Keeps the backups of these migrations, whatever else applies: of those that are unfinished.
    #[must_use]
    pub fn keep_of_migrations(mut self, migrations: BTreeSet<MigrationId>) -> Self {
        self.migrations = migrations;
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

    pub(super) fn check(&self) -> Result<()> {
        self.rules.check()
    }

    fn judge(&self, backup: &Listed, rule: Option<KeepReason>, now: Timestamp) -> Fate {
        if let Some(rule) = rule {
            return Fate::Kept(rule);
        }
        if let Some(migration) = backup.migration.filter(|m| self.migrations.contains(m)) {
            return Fate::Kept(KeepReason::Migration { migration });
        }
        if backup.kind == BackupKind::Archive && !self.archives {
            return Fate::Kept(KeepReason::Archive);
        }
        let created_at = backup.created_at;
        // before the beginning of the calendar nothing was made
        let limit = self.older_than.and_then(|age| now.checked_sub(age).ok());
        match backup.keep_until {
            Some(until) if until <= now => {
                Fate::Removed(PruneReason::Expired { keep_until: until })
            }
            None if limit.is_some_and(|limit| created_at < limit) => {
                Fate::Removed(PruneReason::Old { created_at })
            }
            None if self.superseded
                && !self.rules.is_empty()
                && backup.can_be_superseded(self.group_by.as_deref()) =>
            {
                Fate::Removed(PruneReason::Superseded)
            }
            keep_until => Fate::Kept(KeepReason::Retention { keep_until }),
        }
    }
}

/// What becomes of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Removed(PruneReason),
    Kept(KeepReason),
}

/// What decides about a backup.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) id: BackupId,
    kind: BackupKind,
    created_at: Timestamp,
    keep_until: Option<Timestamp>,
    migration: Option<MigrationId>,
    tags: BTreeMap<String, String>,
    single: bool,
    first_object: Option<ObjectId>,
}

/// Backups of which the newest are kept.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Series<'a> {
    /// Those whose tag, by which the policy groups, has this value.
    Group(&'a str),
    /// Those of an object, or those of several that begin with it.
    Object {
        kind: BackupKind,
        single: bool,
        first: Option<&'a ObjectId>,
    },
}

impl Listed {
    fn series(&self, group_by: Option<&str>) -> Series<'_> {
        let is_by_hand = self.kind == BackupKind::Backup && self.migration.is_none();
        let group = group_by.filter(|_| is_by_hand);
        match group.and_then(|tag| self.tags.get(tag)) {
            Some(value) => Series::Group(value),
            None => Series::Object {
                kind: self.kind,
                single: self.single,
                first: self.first_object.as_ref(),
            },
        }
    }

    /// Whether a newer one of its series holds what it holds: of several objects, the manifests do not
    /// tell which ones; archives are of different streams; a migration's backup is its way back.
    fn can_be_superseded(&self, group_by: Option<&str>) -> bool {
        match self.series(group_by) {
            Series::Group(_) => true,
            Series::Object {
                kind,
                single,
                first,
            } => {
                let is_of_an_object = single && first.is_some();
                is_of_an_object && kind == BackupKind::Backup && self.migration.is_none()
            }
        }
    }

    pub(super) fn of(manifest: &BackupManifest) -> Self {
        Self {
            id: manifest.id.clone(),
            kind: manifest.kind,
            created_at: manifest.created_at,
            keep_until: manifest.settings.keep_until,
            migration: manifest.migration,
            tags: manifest.settings.tags.clone(),
            single: manifest.sections == 1,
            first_object: manifest.first_object.clone(),
        }
    }
}

/// Decides which may go. Oldest first.
pub(super) fn choose(
    mut all: Vec<Listed>,
    now: Timestamp,
    policy: &PrunePolicy,
) -> Vec<(BackupId, Fate)> {
    // newest first; the id decides between equals, so that a repetition decides alike
    all.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    let mut series: HashMap<_, KeptOfSeries> = HashMap::new();
    let mut fates: Vec<_> = all
        .iter()
        .map(|backup| {
            let key = backup.series(policy.group_by.as_deref());
            let kept = series.entry(key).or_default();
            let rule = kept.next(&policy.rules, backup.created_at, &backup.tags);
            (backup.id.clone(), policy.judge(backup, rule, now))
        })
        .collect();
    fates.reverse();
    fates
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
            migration: None,
            tags: BTreeMap::new(),
            single: true,
            first_object: Some("order/1".parse().unwrap()),
        }
    }

    fn chosen(all: &[Listed], policy: PrunePolicy) -> Vec<String> {
        let chosen = choose(all.to_vec(), time(NOW), &policy);
        let removed = chosen
            .into_iter()
            .filter(|(_, fate)| matches!(fate, Fate::Removed(_)));
        removed.map(|(id, _)| id.to_string()).collect()
    }

    fn keep_last(count: usize) -> PrunePolicy {
        PrunePolicy::new().keep(KeepRules::new().last(count))
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
        let two = keep_last(2);
        assert_eq!(chosen(&all, two), ["expired-1", "expired-2"]);
        let three = keep_last(3);
        assert_eq!(chosen(&all, three), ["expired-1"]);
        assert!(chosen(&all, keep_last(9)).is_empty());
    }

    /// Two backups a day of one object, from 31 days, without an end of their retention.
    fn nightly() -> Vec<Listed> {
        let id = |day: u32, hour: u32| format!("d{day:02}-{hour:02}");
        let time = |day, hour| format!("2024-05-{day:02}T{hour:02}:00:00Z");
        let all = (1..=31).flat_map(|day| [3, 15].map(|hour| (day, hour)));
        all.map(|(day, hour)| backup(&id(day, hour), &time(day, hour), None))
            .collect()
    }

    fn kept(all: &[Listed], rules: KeepRules) -> Vec<(String, KeepReason)> {
        let policy = PrunePolicy::new().keep(rules).superseded();
        let fates = choose(all.to_vec(), time(NOW), &policy);
        let kept = fates.into_iter().filter_map(|(id, fate)| match fate {
            Fate::Kept(reason) => Some((id.to_string(), reason)),
            Fate::Removed(_) => None,
        });
        kept.collect()
    }

    #[test]
    fn rules_keep_the_newest_of_each_day_and_month_and_say_which() {
        let mut all = nightly();
        all.push(backup("april-1", "2024-04-02T03:00:00Z", None));
        all.push(backup("april-2", "2024-04-20T03:00:00Z", None));
        let rules = KeepRules::new().last(2).daily(3).monthly(2);
        let daily = |day: &str| KeepReason::Daily {
            day: day.to_owned(),
        };
        let monthly = |month: &str| KeepReason::Monthly {
            month: month.to_owned(),
        };
        let expected = [
            ("april-2", monthly("2024-04")),
            ("d29-15", daily("2024-05-29")),
            ("d30-15", daily("2024-05-30")),
            ("d31-03", KeepReason::Last { number: 2 }),
            ("d31-15", KeepReason::Last { number: 1 }),
        ];
        let expected = expected.map(|(id, reason)| (id.to_owned(), reason));
        assert_eq!(kept(&all, rules), expected);
    }

    #[test]
    fn what_a_newer_one_may_not_hold_is_never_superseded() {
        let newest = backup("newest", "2024-05-03T00:00:00Z", None);
        let mut several = backup("several", "2024-05-01T00:00:00Z", None);
        several.single = false;
        let fewer = Listed {
            id: BackupId::new("fewer").unwrap(),
            created_at: time("2024-05-02T00:00:00Z"),
            ..several.clone()
        };
        let mut unnamed = backup("unnamed", "2024-05-01T00:00:00Z", None);
        unnamed.first_object = None;
        let other = Listed {
            id: BackupId::new("other").unwrap(),
            ..unnamed.clone()
        };
        let mut archive = backup("archive", "2024-05-01T00:00:00Z", None);
        archive.kind = BackupKind::Archive;
        let later = Listed {
            id: BackupId::new("later").unwrap(),
            ..archive.clone()
        };
        let mut migrated = backup("migrated", "2024-05-01T00:00:00Z", None);
        migrated.migration = Some(MigrationId::from_uuid(uuid::Uuid::from_u128(7)));
        let old = backup("old", "2024-05-01T00:00:00Z", None);
        let all = [
            newest, several, fewer, unnamed, other, archive, later, migrated, old,
        ];
        let policy = keep_last(1).superseded().archives();
        assert_eq!(chosen(&all, policy), ["old"]);
    }

    #[test]
    fn a_group_is_a_series_whatever_its_backups_begin_with() {
        let of_job = |id: &str, created: &str, job: &str, first: &str| Listed {
            tags: [("job".to_owned(), job.to_owned())].into(),
            single: false,
            first_object: Some(first.parse().unwrap()),
            ..backup(id, created, None)
        };
        let newest = "2024-05-03T00:00:00Z";
        let oldest = of_job("oldest", "2024-05-01T00:00:00Z", "nightly", "order/3");
        let alone = Listed {
            single: true,
            ..of_job("alone", "2024-05-01T12:00:00Z", "nightly", "order/2")
        };
        let retained = Listed {
            id: BackupId::new("retained").unwrap(),
            keep_until: Some(time("2024-07-01T00:00:00Z")),
            ..oldest.clone()
        };
        let archive = Listed {
            id: BackupId::new("archive").unwrap(),
            kind: BackupKind::Archive,
            ..oldest.clone()
        };
        let migrated = Listed {
            id: BackupId::new("migrated").unwrap(),
            migration: Some(MigrationId::from_uuid(uuid::Uuid::from_u128(7))),
            ..oldest.clone()
        };
        let untagged = Listed {
            id: BackupId::new("untagged").unwrap(),
            tags: BTreeMap::new(),
            ..oldest.clone()
        };
        let all = [
            of_job("newest", newest, "nightly", "order/1"),
            of_job("weekly", "2024-04-01T00:00:00Z", "weekly", "order/1"),
            // newer than all of the group, but of no group
            backup("other", "2024-05-09T00:00:00Z", None),
            alone,
            oldest,
            retained,
            archive,
            migrated,
            untagged,
        ];
        let policy = keep_last(1).superseded();
        assert!(chosen(&all, policy.clone()).is_empty());
        assert_eq!(
            chosen(&all, policy.clone().group_by("job")),
            ["oldest", "alone"]
        );
        assert!(chosen(&all, policy.group_by("team")).is_empty());
        let without_rules = PrunePolicy::new().superseded().group_by("job");
        assert!(chosen(&all, without_rules).is_empty());
    }

    #[test]
    fn what_has_a_tag_and_the_newest_are_kept_whatever_the_rules_count() {
        let mut all = nightly();
        all[4].tags.insert("reason".to_owned(), "audit".to_owned());
        let rules = KeepRules::new().tag("reason", "audit");
        let tag = KeepReason::Tag {
            tag: "reason=audit".to_owned(),
        };
        let expected = [
            ("d03-03".to_owned(), tag),
            ("d31-15".to_owned(), KeepReason::Newest),
        ];
        assert_eq!(kept(&all, rules), expected);
    }

    #[test]
    fn rules_depend_on_no_clock_and_never_beat_a_retention_or_an_unfinished_migration() {
        let mut all = nightly();
        let far = time("2900-01-01T00:00:00Z");
        let policy = keep_last(1).superseded();
        assert_eq!(
            choose(all.clone(), time(NOW), &policy),
            choose(all.clone(), far, &policy)
        );
        all[0].keep_until = Some(far);
        let migration = MigrationId::from_uuid(uuid::Uuid::from_u128(7));
        all[1].migration = Some(migration);
        let policy = policy.keep_of_migrations([migration].into());
        let fates = choose(all, time(NOW), &policy);
        let retained = KeepReason::Retention {
            keep_until: Some(far),
        };
        assert_eq!(fates[0].1, Fate::Kept(retained));
        assert_eq!(fates[1].1, Fate::Kept(KeepReason::Migration { migration }));
        let removed = fates
            .iter()
            .filter(|(_, fate)| matches!(fate, Fate::Removed(_)));
        assert_eq!(removed.count(), 62 - 3);
    }

    #[test]
    fn without_rules_nothing_is_superseded() {
        let policy = PrunePolicy::new().superseded();
        assert!(chosen(&nightly(), policy).is_empty());
    }
}
