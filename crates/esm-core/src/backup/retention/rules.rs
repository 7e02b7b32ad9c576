//! Rules by which backups of a series are kept.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use crate::backup::retention::reason::KeepReason;
use crate::error::{Error, Result};

/// Which backups of a series are kept: those that any of the rules names, and always the newest.
///
/// Days and months are those of the backups themselves, in UTC, and only those count that have a
/// backup. So no rule depends on what time it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeepRules {
    last: usize,
    daily: usize,
    monthly: usize,
    tags: BTreeMap<String, String>,
}

impl KeepRules {
    /// No rule: nothing is kept by it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps this many of the newest.
    #[must_use]
    pub fn last(mut self, count: usize) -> Self {
        self.last = count;
        self
    }

    /// Keeps the newest of each of this many of the newest days that have a backup.
    #[must_use]
    pub fn daily(mut self, days: usize) -> Self {
        self.daily = days;
        self
    }

    /// Keeps the newest of each of this many of the newest months that have a backup.
    #[must_use]
    pub fn monthly(mut self, months: usize) -> Self {
        self.monthly = months;
        self
    }

    /// Keeps all that have this tag. Of several tags any one will do.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that counts were meant.
    ///
    /// # Errors
    /// `Invalid` for more backups than can be.
    pub(super) fn check(&self) -> Result<()> {
        const MOST: usize = 1_000_000;
        if [self.last, self.daily, self.monthly]
            .iter()
            .any(|count| *count > MOST)
        {
            return Err(
                Error::invalid(format!("keeps more than {MOST} backups of a series"))
                    .with_hint("leave the rule out that keeps so many"),
            );
        }
        Ok(())
    }
}

/// What of a series was kept so far, from the newest on.
#[derive(Debug, Default)]
pub(super) struct KeptOfSeries {
    seen: usize,
    days: HashSet<String>,
    months: HashSet<String>,
}

impl KeptOfSeries {
    /// The rule that keeps the next older backup of the series.
    pub(super) fn next(
        &mut self,
        rules: &KeepRules,
        created_at: Timestamp,
        tags: &BTreeMap<String, String>,
    ) -> Option<KeepReason> {
        let number = self.seen;
        self.seen += 1;
        if rules.is_empty() {
            return None;
        }
        let (day, month) = (
            created_at.strftime("%Y-%m-%d"),
            created_at.strftime("%Y-%m"),
        );
        let day = first_of(&mut self.days, day.to_string(), rules.daily);
        let month = first_of(&mut self.months, month.to_string(), rules.monthly);
        let tag = rules
            .tags
            .iter()
            .find(|(key, value)| tags.get(*key) == Some(value));
        if number < rules.last {
            Some(KeepReason::Last { number: number + 1 })
        } else if let Some(day) = day {
            Some(KeepReason::Daily { day })
        } else if let Some(month) = month {
            Some(KeepReason::Monthly { month })
        } else if let Some((key, value)) = tag {
            Some(KeepReason::Tag {
                tag: format!("{key}={value}"),
            })
        } else if number == 0 {
            Some(KeepReason::Newest)
        } else {
            None
        }
    }
}

/// The period, if this is its first backup and one of so many periods.
fn first_of(seen: &mut HashSet<String>, period: String, count: usize) -> Option<String> {
    let is_first = seen.len() < count && seen.insert(period.clone());
    is_first.then_some(period)
}
