//! The migrations that the objects of a scope had before.

use std::collections::BTreeMap;

use crate::id::MigrationId;
use crate::object::ObjectDocument;

/// Migrations that are named.
const NAMED: usize = 3;

/// How many objects of a scope each migration moved last.
#[derive(Debug, Default)]
pub(super) struct Histories {
    never_moved: u64,
    /// The newest migrations, by id.
    newest: BTreeMap<MigrationId, u64>,
    /// Objects that older migrations moved last.
    older: u64,
}

impl Histories {
    /// Adds an object by the migration that moved it last; `None` if none did.
    pub(super) fn add(&mut self, moved_last: Option<MigrationId>) {
        let Some(migration) = moved_last else {
            self.never_moved += 1;
            return;
        };
        *self.newest.entry(migration).or_default() += 1;
        if self.newest.len() > NAMED
            && let Some((_, objects)) = self.newest.pop_first()
        {
            self.older += objects;
        }
    }

    /// Returns the risk of objects with different histories: after a migration that moved only some
    /// of them, another one of the same purpose transforms those a second time.
    pub(super) fn risk(&self) -> Option<String> {
        let kinds =
            self.newest.len() + usize::from(self.never_moved > 0) + usize::from(self.older > 0);
        if kinds < 2 {
            return None;
        }
        let newest = self.newest.iter().rev();
        let mut parts: Vec<_> = newest
            .map(|(migration, objects)| format!("{objects} last by {migration}"))
            .collect();
        if self.older > 0 {
            parts.push(format!("{} by older migrations", self.older));
        }
        if self.never_moved > 0 {
            parts.push(format!("{} never", self.never_moved));
        }
        Some(format!(
            "objects were migrated before, but not all by the same migration: {}; a program for \
             unmigrated events transforms the others a second time, unless their last migration \
             was a rollback",
            parts.join(", ")
        ))
    }
}

/// Returns the migration that moved an object to its active stream; `None` if none did.
pub(super) fn moved_last(document: &ObjectDocument) -> Option<MigrationId> {
    document.terminated.last().map(|entry| entry.migration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> MigrationId {
        MigrationId::from_uuid(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn one_history_is_no_risk_and_several_are_counted_the_newest_first() {
        let mut histories = Histories::default();
        assert_eq!(histories.risk(), None);
        histories.add(None);
        histories.add(None);
        assert_eq!(histories.risk(), None);
        histories.add(Some(id(7)));
        let risk = histories.risk().unwrap_or_default();
        assert!(
            risk.contains(&format!("1 last by {}, 2 never", id(7))),
            "{risk}"
        );
        for number in [9, 8, 9, 1] {
            histories.add(Some(id(number)));
        }
        let risk = histories.risk().unwrap_or_default();
        let [nine, eight, seven] = [id(9), id(8), id(7)];
        let expected = format!(
            "2 last by {nine}, 1 last by {eight}, 1 last by {seven}, 1 by older migrations, 2 never"
        );
        assert!(risk.contains(&expected), "{risk}");
    }
}
