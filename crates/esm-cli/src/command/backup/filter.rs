//! Which backups are meant.

use esm_core::backup::BackupFilter;
use esm_core::id::{ObjectId, ObjectName};
use esm_core::store::BackupKind;
use esm_core::{Error, Result};
use jiff::Timestamp;

use crate::args::{self, Pair, Span};
use crate::migration::IdPart;
use crate::session::Session;

/// Which backups are meant; all that is given must apply.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Filter")]
pub(super) struct FilterArgs {
    /// Only those that hold this object.
    #[arg(long, value_name = "OBJECT", value_parser = args::object)]
    object: Option<ObjectId>,
    /// Only those that hold an object of this name.
    #[arg(long, value_name = "NAME")]
    name: Option<ObjectName>,
    /// Only those with this tag. Repeatable: with all of them.
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    tags: Vec<Pair>,
    /// Only those of this kind.
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Only those of this time or later: a time, or a duration before now.
    #[arg(long, value_name = "TIME|DURATION")]
    since: Option<Moment>,
    /// Only those from before this time: a time, or a duration before now.
    #[arg(long, value_name = "TIME|DURATION")]
    older_than: Option<Moment>,
    /// Only those that this migration made.
    #[arg(long, value_name = "MIGRATION")]
    migration: Option<IdPart>,
}

/// Why a backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Before a migration, or by hand.
    Backup,
    /// Of a closed stream, at book closing.
    Archive,
}

/// A time, or a duration before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    At(Timestamp),
    Ago(Span),
}

impl std::str::FromStr for Moment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        text.parse().map(Self::Ago).map_err(|_| {
            Error::invalid(format!(
                "not a time or a duration, expected for example 2026-01-02T03:00:00Z or 7d: \
                 {text:?}"
            ))
        })
    }
}

impl Moment {
    /// The time, where this is a duration before `now`.
    ///
    /// # Errors
    /// `Invalid` for a duration that is too long.
    pub(super) fn before(self, now: Timestamp) -> Result<Timestamp> {
        match self {
            Self::At(time) => Ok(time),
            Self::Ago(span) => now
                .checked_sub(span.0)
                .map_err(|e| Error::invalid("duration is longer than the calendar").with_source(e)),
        }
    }
}

impl FilterArgs {
    /// The filter, for the library.
    ///
    /// # Errors
    /// `Invalid` for a duration that is too long; those of finding the migration.
    pub(super) async fn filter(&self, session: &Session) -> Result<BackupFilter> {
        let now = session.environment().clock.now();
        let mut filter = BackupFilter::new();
        if let Some(object) = &self.object {
            filter = filter.object(object.clone());
        }
        if let Some(name) = &self.name {
            filter = filter.name(name.clone());
        }
        if let Some(kind) = self.kind {
            filter = filter.kind(match kind {
                Kind::Backup => BackupKind::Backup,
                Kind::Archive => BackupKind::Archive,
            });
        }
        if let Some(since) = self.since {
            filter = filter.since(since.before(now)?);
        }
        if let Some(older_than) = self.older_than {
            filter = filter.before(older_than.before(now)?);
        }
        if let Some(migration) = &self.migration {
            filter = filter.migration(migration.migration(session).await?);
        }
        let tags = args::map(&self.tags).into_iter();
        Ok(tags.fold(filter, |filter, (key, value)| filter.tag(key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_duration_before_now() {
        let now: Timestamp = "2026-01-08T00:00:00Z".parse().expect("a time");
        for text in ["2026-01-01T00:00:00Z", "7d", "168h"] {
            let moment: Moment = text.parse().expect(text);
            let at = moment.before(now).expect(text);
            assert_eq!(at.to_string(), "2026-01-01T00:00:00Z", "{text}");
        }
        for wrong in ["", "yesterday", "-7d", "7"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong:?}");
        }
    }
}
