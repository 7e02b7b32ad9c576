//! The migrations of a store.
//!
//! A load lists the keys of the journals, the held locks and the index, and observes a few
//! migrations: those at work, then new ones, then others that have not ended. What has ended never
//! changes again and is read once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use esm_core::id::MigrationId;
use esm_core::migration::{MigrationObserver, MigrationService, MigrationState};
use esm_core::store::{RecordCollection, RecordKey};
use esm_core::{ErrorKind, Result};
use esm_view::migration::{Shown, Unreadable, is_unfinished, reversed_by};
use futures::TryStreamExt as _;

use crate::cache::Load;
use crate::source::Source;

/// Migrations that are listed; older ones are only counted.
const LISTED: usize = 2_000;
/// Migrations at work that are observed in one load.
const AT_WORK: usize = 6;
/// Others that are observed in one load.
const OTHERS: usize = 4;

/// The migrations of a store, as far as they have been read.
#[derive(Debug)]
pub(crate) struct Board {
    /// Newest first.
    pub(crate) migrations: Vec<Arc<Shown>>,
    /// Those that cannot be read, newest first.
    pub(crate) unreadable: Vec<Unreadable>,
    /// Number of all.
    pub(crate) total: u64,
}

impl Board {
    /// The migrations whose id begins or ends like this.
    pub(crate) fn like(&self, part: &str) -> impl Iterator<Item = &Arc<Shown>> {
        let part = part.to_ascii_lowercase();
        self.migrations.iter().filter(move |shown| {
            let id = shown.state.migration.to_string();
            id.starts_with(&part) || id.ends_with(&part)
        })
    }

    /// Number of migrations that are not read yet, or too old to be listed.
    pub(crate) fn unread(&self) -> u64 {
        let read = self.migrations.len() + self.unreadable.len();
        self.total.saturating_sub(read as u64)
    }
}

/// Loads the board again and again.
#[derive(Debug)]
pub(crate) struct BoardLoad {
    source: Arc<Source>,
    service: MigrationService,
    known: BTreeMap<MigrationId, Arc<Shown>>,
    unreadable: BTreeMap<MigrationId, Unreadable>,
    observers: BTreeMap<MigrationId, MigrationObserver>,
    /// In the order of their last observation.
    rotation: BTreeMap<MigrationId, u64>,
    round: u64,
}

impl BoardLoad {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Self {
            service: source.service(),
            source,
            known: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            observers: BTreeMap::new(),
            rotation: BTreeMap::new(),
            round: 0,
        }
    }

    /// The newest migrations, and the number of all.
    async fn list(&self) -> Result<(BTreeSet<MigrationId>, u64)> {
        let (mut newest, mut total) = (BTreeSet::new(), 0);
        let mut keys = self.source.records().list(RecordCollection::Journals);
        while let Some(key) = keys.try_next().await? {
            if let RecordKey::Journal(migration) = key {
                total += 1;
                newest.insert(migration);
                if newest.len() > LISTED {
                    newest.pop_first();
                }
            }
        }
        Ok((newest, total))
    }

    /// The migrations that a held lock or the index of published phases names.
    async fn at_work(&self) -> Result<BTreeSet<MigrationId>> {
        let held = self.source.locks().list().await?;
        let mut at_work: BTreeSet<_> = held.iter().filter_map(|lock| lock.migration).collect();
        match self.source.routing().index().await {
            Ok(index) => at_work.extend(index.migrations.into_keys()),
            // the index only informs: one that is damaged, or of a newer version, names nothing
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Corrupt | ErrorKind::Gone | ErrorKind::Unsupported
                ) => {}
            Err(error) => return Err(error),
        }
        Ok(at_work)
    }

    /// The migrations to observe in this round.
    fn due(
        &self,
        newest: &BTreeSet<MigrationId>,
        at_work: &BTreeSet<MigrationId>,
    ) -> Vec<MigrationId> {
        let last = |migration: &MigrationId| self.rotation.get(migration).copied();
        let mut working: Vec<_> = at_work.iter().copied().collect();
        working.sort_by_key(&last);
        working.truncate(AT_WORK);
        let is_open = |migration: &&MigrationId| {
            let known = self.known.get(migration);
            !at_work.contains(migration) && known.is_none_or(|shown| is_unfinished(&shown.state))
        };
        let mut others: Vec<_> = newest.iter().rev().filter(is_open).copied().collect();
        // those that were never observed come first, the newest of them before the others
        others.sort_by_key(&last);
        others.truncate(OTHERS);
        working.extend(others);
        working
    }

    async fn observe(&mut self, migration: MigrationId) -> Result<()> {
        self.rotation.insert(migration, self.round);
        let service = &self.service;
        let observer = self
            .observers
            .entry(migration)
            .or_insert_with(|| service.observer(migration));
        let watched = match observer.observe().await {
            Ok(watched) => watched,
            // a lock is held before the journal begins; a journal can be deleted
            Err(error) if *error.kind() == ErrorKind::NotFound => {
                self.forget(migration);
                return Ok(());
            }
            // one that cannot be read does not hide the others
            Err(error) => {
                let unreadable = Unreadable::of(migration, error)?;
                self.known.remove(&migration);
                self.unreadable.insert(migration, unreadable);
                return Ok(());
            }
        };
        self.unreadable.remove(&migration);
        let shown = Shown::of(watched, self.source.environment().clock.now()).only_current();
        if !is_unfinished(&shown.state) {
            self.observers.remove(&migration);
        }
        self.known.insert(migration, Arc::new(shown));
        Ok(())
    }

    fn forget(&mut self, migration: MigrationId) {
        self.known.remove(&migration);
        self.unreadable.remove(&migration);
        self.observers.remove(&migration);
        self.rotation.remove(&migration);
    }

    fn forget_all_but(&mut self, listed: &BTreeSet<MigrationId>) {
        let gone: Vec<_> = self.rotation.keys().copied().collect();
        for migration in gone.into_iter().filter(|m| !listed.contains(m)) {
            self.forget(migration);
        }
    }

    fn board(&self, total: u64) -> Board {
        let states: Vec<MigrationState> = self.known.values().map(|s| s.state.clone()).collect();
        let reversed = reversed_by(&states);
        let migrations = self.known.iter().rev().map(|(migration, shown)| {
            let by = reversed.get(migration).copied();
            if shown.condition.reversed_by == by {
                return Arc::clone(shown);
            }
            let mut shown = shown.as_ref().clone();
            shown.condition.reversed_by = by;
            Arc::new(shown)
        });
        Board {
            migrations: migrations.collect(),
            unreadable: self.unreadable.values().rev().cloned().collect(),
            total,
        }
    }
}

impl Load for BoardLoad {
    type Value = Board;

    async fn load(&mut self) -> Result<Board> {
        self.round += 1;
        let (mut listed, total) = self.list().await?;
        let at_work = self.at_work().await?;
        for migration in self.due(&listed, &at_work) {
            self.observe(migration).await?;
        }
        listed.extend(&at_work);
        self.forget_all_but(&listed);
        Ok(self.board(total))
    }
}
