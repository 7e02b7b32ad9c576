//! `esm backup check`

use std::time::Duration;

use esm_core::backup::{BackupDamage, CheckedBackups, ReadData};
use esm_core::id::BackupId;
use esm_core::{Error, Result};
use jiff::Timestamp;
use serde::Serialize;

use super::filter::FilterArgs;
use super::place::BackupPlace;
use crate::args::Span;
use crate::backup;
use crate::exit::Exit;
use crate::output::{ErrorReport, Form, Text, count, counted, duration};
use crate::session::{Access, Session};

/// Check that backups are sound and new enough, for cron and monitoring.
///
/// Checks the manifests, that all files are there with their sizes, and the lists of sections. Exits
/// with 9 if a backup is damaged, with 3 if the newest sound one is older than --max-age. Continues
/// after a damaged one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup check --max-age 26h
  esm backup check --read-data-subset 5%      # another twentieth each day
  esm backup check --read-data --backup file:///backups --object order/123")]
pub(crate) struct Check {
    #[command(flatten)]
    place: BackupPlace,
    /// Read all events too, and verify their checksums, counts and hashes.
    #[arg(long)]
    read_data: bool,
    /// Read the events of a part of the backups: a percentage, of which another part is read each day,
    /// or PART/PARTS.
    #[arg(long, value_name = "PERCENT|PART/PARTS", conflicts_with = "read_data")]
    read_data_subset: Option<Subset>,
    /// Fail if the newest sound backup is older than this. Archives do not count.
    #[arg(long, value_name = "DURATION")]
    max_age: Option<Span>,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Damaged backups that are described; the count is complete.
const LISTED: usize = 100;
/// The smallest part that can be read of all backups.
const MOST_PARTS: u32 = 10_000;

/// A part of the backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subset {
    /// One of so many parts, another each day.
    Rotating { of: u32 },
    /// A part, from 1.
    Part { part: u32, of: u32 },
}

impl std::str::FromStr for Subset {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "not a part of the backups, expected for example 5% or 3/20: {text:?}"
            ))
        };
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
            if !(0.01..=100.0).contains(&percent) {
                return Err(wrong());
            }
            // never less than was asked for
            let of = (100.0 / percent).floor() as u32;
            return Ok(Self::Rotating { of });
        }
        let (part, of) = text.split_once('/').ok_or_else(wrong)?;
        let part = part.parse().map_err(|_| wrong())?;
        let of = of.parse().map_err(|_| wrong())?;
        if part == 0 || part > of || of > MOST_PARTS {
            return Err(wrong());
        }
        Ok(Self::Part { part, of })
    }
}

impl Subset {
    fn on(self, now: Timestamp) -> ReadData {
        const DAY: i64 = 86_400;
        match self {
            Self::Rotating { of } => {
                let day = now.as_second().div_euclid(DAY);
                let part = day.rem_euclid(i64::from(of));
                ReadData::Part {
                    part: u32::try_from(part).unwrap_or(0),
                    of,
                }
            }
            Self::Part { part, of } => ReadData::Part { part: part - 1, of },
        }
    }
}

#[derive(Debug, Serialize)]
struct Checked {
    /// Whether no backup is damaged.
    sound: bool,
    /// Whether no sound backup is new enough.
    too_old: bool,
    backups: u64,
    /// Backups whose events were read.
    data_read: u64,
    damaged: u64,
    /// The first of them.
    damage: Vec<Damage>,
    /// The newest sound backup.
    newest: Option<Newest>,
}

#[derive(Debug, Serialize)]
struct Damage {
    backup: Option<BackupId>,
    error: ErrorReport,
}

#[derive(Debug, Serialize)]
struct Newest {
    backup: BackupId,
    created_at: Timestamp,
    age_seconds: u64,
}

impl Check {
    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = self.place.open(session, Access::Read).await?;
        let now = session.environment().clock.now();
        let data = match self.read_data_subset {
            Some(subset) => subset.on(now),
            None if self.read_data => ReadData::All,
            None => ReadData::None,
        };
        let mut damage = Vec::new();
        let checked = backup::without_progress(session, &backups)
            .check_all(self.filter.filter(session).await?, data, |found| {
                if damage.len() < LISTED {
                    damage.push(Damage::new(found));
                }
            })
            .await?;
        let shown = Checked::new(checked, damage, now, self.max_age.map(|age| age.0));
        session.output().result(&shown, text)?;
        if !shown.sound {
            return Ok(Exit::Corrupt);
        }
        Ok(if shown.too_old {
            Exit::NotFound
        } else {
            Exit::Success
        })
    }
}

impl Damage {
    fn new(found: BackupDamage) -> Self {
        Self {
            backup: found.id,
            error: ErrorReport::new(&found.error),
        }
    }
}

impl Checked {
    fn new(
        checked: CheckedBackups,
        damage: Vec<Damage>,
        now: Timestamp,
        max_age: Option<Duration>,
    ) -> Self {
        let newest = checked.newest.map(|manifest| {
            let age = now.duration_since(manifest.created_at);
            // one from the future is as new as can be
            (manifest, Duration::try_from(age).unwrap_or_default())
        });
        let is_new = |max: Duration| newest.as_ref().is_some_and(|(_, age)| *age <= max);
        Self {
            sound: checked.damaged == 0,
            too_old: max_age.is_some_and(|max| !is_new(max)),
            backups: checked.backups,
            data_read: checked.data_read,
            damaged: checked.damaged,
            damage,
            newest: newest.map(|(manifest, age)| Newest {
                backup: manifest.id,
                created_at: manifest.created_at,
                age_seconds: age.as_secs(),
            }),
        }
    }
}

fn text(checked: &Checked, _form: Form) -> Text {
    let damage = checked.damage.iter().map(|damage| damage.error.to_text());
    damage
        .fold(Text::default(), Text::and)
        .and(summary(checked))
}

/// One line.
fn summary(checked: &Checked) -> String {
    let verdict = match (checked.sound, checked.too_old) {
        (false, _) => format!("DAMAGED: {} of ", count(checked.damaged)),
        (true, true) => "TOO OLD: ".to_owned(),
        (true, false) => "sound: ".to_owned(),
    };
    let read = match checked.data_read {
        0 => String::new(),
        read => format!(", events of {} read", count(read)),
    };
    let newest = match &checked.newest {
        Some(newest) => {
            let age = duration(Duration::from_secs(newest.age_seconds));
            format!("; the newest sound one is {age} old: {}", newest.backup)
        }
        None => "; no sound backup".to_owned(),
    };
    format!(
        "{verdict}{}{read}{newest}",
        counted(checked.backups, "backup")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_reads_every_backup_in_as_many_days_and_no_less_than_was_asked_for() {
        let subset = |text: &str| text.parse::<Subset>().ok();
        assert_eq!(subset("5%"), Some(Subset::Rotating { of: 20 }));
        assert_eq!(subset("100%"), Some(Subset::Rotating { of: 1 }));
        assert_eq!(subset("70%"), Some(Subset::Rotating { of: 1 }));
        assert_eq!(subset("3/20"), Some(Subset::Part { part: 3, of: 20 }));
        for wrong in [
            "", "5", "0%", "101%", "-1%", "NaN%", "0/3", "4/3", "1/20000",
        ] {
            assert_eq!(subset(wrong), None, "{wrong:?}");
        }
        let day = |number: i64| Timestamp::from_second(number * 86_400).expect("a time");
        let parts: std::collections::HashSet<_> = (0..20)
            .map(|n| Subset::Rotating { of: 20 }.on(day(n)))
            .collect();
        assert_eq!(parts.len(), 20);
    }
}
