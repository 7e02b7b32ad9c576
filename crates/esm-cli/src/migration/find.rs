//! Finding what an abbreviated id means.

use std::fmt::Display;
use std::str::FromStr;

use esm_core::id::{BackupId, MigrationId};
use esm_core::store::{BackupProvider, RecordCollection, RecordKey};
use esm_core::{Error, ErrorKind, Result};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::session::Session;

/// Fewest characters of an abbreviated id.
const SHORTEST: usize = 4;

/// Candidates that an error lists.
const LISTED: usize = 10;

/// An id, or at least four characters of its beginning or of its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdPart(String);

impl FromStr for IdPart {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::invalid("the id is empty"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl IdPart {
    /// The migration of this id.
    ///
    /// # Errors
    /// `Invalid` if it fits several, naming them, or is too short; `NotFound`; those of the records.
    pub(crate) async fn migration(&self, session: &Session) -> Result<MigrationId> {
        if let Ok(whole) = self.0.parse() {
            return Ok(whole);
        }
        let journals = session.records().list(RecordCollection::Journals);
        let ids = journals.try_filter_map(|key| async move {
            Ok(match key {
                RecordKey::Journal(migration) => Some(migration),
                _ => None,
            })
        });
        self.migration_among(ids.try_collect().await?)
    }

    /// The migration of this id among those that are known.
    ///
    /// # Errors
    /// `Invalid` if it fits several, naming them, or is too short; `NotFound`.
    pub(crate) fn migration_among(&self, ids: Vec<MigrationId>) -> Result<MigrationId> {
        self.only("migration", ids)?.ok_or_else(|| {
            Error::not_found(format!("unknown migration: {}", self.0))
                .with_hint("list the migrations of this store with `esm status --all`")
        })
    }

    /// The backup of this id; what fits none is returned as it is, for the command to report.
    ///
    /// # Errors
    /// `Invalid` if it fits several, naming them, or is too short; those of the backups.
    pub(crate) async fn backup(&self, backups: &dyn BackupProvider) -> Result<BackupId> {
        let whole = BackupId::new(&self.0)?;
        match backups.manifest(&whole).await {
            Err(error) if *error.kind() == ErrorKind::NotFound => {}
            _ => return Ok(whole),
        }
        let mut ids = Vec::new();
        let mut listed = backups.list();
        while let Some(found) = listed.next().await {
            match found {
                Ok(manifest) => ids.push(manifest.id),
                Err(damage) if *damage.kind() == ErrorKind::Corrupt => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.only("backup", ids)?.unwrap_or(whole))
    }

    /// The only id that begins or ends like this.
    fn only<T: Display>(&self, what: &str, ids: Vec<T>) -> Result<Option<T>> {
        let part = self.0.to_lowercase();
        let fits = |id: &T| {
            let id = id.to_string().to_lowercase();
            id.starts_with(&part) || id.ends_with(&part)
        };
        let mut found: Vec<_> = ids.into_iter().filter(fits).collect();
        if found.len() == 1 && self.0.chars().count() < SHORTEST {
            let message = format!("not an id of a {what}: {}", self.0);
            return Err(Error::invalid(message).with_hint(
                "give the whole id, or at least 4 characters of its beginning or of its end",
            ));
        }
        if found.len() < 2 {
            return Ok(found.pop());
        }
        let mut names: Vec<_> = found.iter().map(ToString::to_string).collect();
        names.sort();
        let more = names.len().saturating_sub(LISTED);
        names.truncate(LISTED);
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        let message = format!("several {what}s fit {}: {}", self.0, names.join(", "));
        Err(Error::invalid(message).with_hint("give more characters of the id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 3] = ["0192d3a0-7c1e-aaaa", "0192d3a0-7c1f-bbbb", "kept"];

    fn found(part: &str) -> Result<Option<&'static str>> {
        IdPart(part.to_owned()).only("migration", IDS.to_vec())
    }

    #[test]
    fn a_beginning_or_an_end_of_four_characters_is_enough_if_it_is_unique() {
        for (part, id) in [
            ("aaaa", Some(IDS[0])),
            ("F-BBBB", Some(IDS[1])),
            ("0192d3a0-7c1e", Some(IDS[0])),
            ("kept", Some(IDS[2])),
            ("7c1e", None),
            ("none", None),
        ] {
            assert_eq!(found(part).expect("not ambiguous"), id, "{part}");
        }
    }

    #[test]
    fn an_ambiguous_id_names_the_candidates_and_a_short_one_fits_nothing() {
        let several = found("0192").expect_err("two of them");
        assert_eq!(*several.kind(), ErrorKind::Invalid);
        for id in &IDS[..2] {
            assert!(several.to_string().contains(id), "{several}");
        }
        let short = found("bbb").expect_err("three characters");
        assert!(
            short
                .hint()
                .is_some_and(|hint| hint.contains("4 characters"))
        );
    }
}
