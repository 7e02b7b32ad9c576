//! What all requests share: the stores, what was read of them, and the options.

use std::sync::Arc;

use esm_core::clock::Environment;
use esm_core::id::{MigrationId, ObjectId, StreamId};
use esm_core::migration::{MigrationPlan, PlannedMigration};
use esm_core::{Error, Result};
use esm_view::lock::Locks;
use esm_view::object::ShownObject;

use crate::cache::{Cache, Seen};
use crate::model::{
    BackupPlace, BackupsLoad, Board, BoardLoad, EventPage, EventPageLoad, EventQuery, LocksLoad,
    MigrationLoad, MigrationView, ObjectList, ObjectListLoad, ObjectLoad, ObjectQuery, Preview,
    PreviewLoad, SavedPlanLoad, UnderWay, UnderWayLoad, Verifications,
};
use crate::options::ConsoleOptions;
use crate::payload::{Payloads, VisibleSample};
use crate::source::Source;

/// A value that was read, or why not.
pub(crate) type Read<V> = Result<Seen<V>, Arc<Error>>;

/// The place of a store among the stores.
pub(crate) type Store = usize;

/// Characters of an id from which it is searched.
pub(crate) const SHORTEST_PART: usize = 4;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: ConsoleOptions,
    pub(crate) payloads: Payloads,
    pub(crate) environment: Environment,
    pub(crate) sources: Vec<Arc<Source>>,
    pub(crate) verifications: Verifications,
    boards: Cache<Store, BoardLoad>,
    migrations: Cache<(Store, MigrationId), MigrationLoad>,
    under_way: Cache<(Store, MigrationId, usize), UnderWayLoad>,
    previews: Cache<(Store, MigrationId), PreviewLoad>,
    objects: Cache<(Store, ObjectId), ObjectLoad>,
    events: Cache<(Store, ObjectId, StreamId, EventQuery), EventPageLoad>,
    plans: Cache<usize, SavedPlanLoad>,
    lists: Cache<(Store, ObjectQuery), ObjectListLoad>,
    locks: Cache<Store, LocksLoad>,
    backups: Cache<Store, BackupsLoad>,
}

impl Shared {
    pub(crate) fn new(sources: Vec<Source>, options: ConsoleOptions) -> Self {
        let environment = sources
            .first()
            .map_or_else(Environment::system, |source| source.environment().clone());
        let most = sources.len();
        Self {
            payloads: Payloads::new(&options),
            options,
            verifications: Verifications::new(),
            sources: sources.into_iter().map(Arc::new).collect(),
            boards: Cache::new(environment.clone(), most),
            migrations: Cache::new(environment.clone(), 64),
            under_way: Cache::new(environment.clone(), 32),
            previews: Cache::new(environment.clone(), 32),
            objects: Cache::new(environment.clone(), 64),
            events: Cache::new(environment.clone(), 32),
            plans: Cache::new(environment.clone(), 32),
            lists: Cache::new(environment.clone(), 32),
            locks: Cache::new(environment.clone(), most),
            backups: Cache::new(environment.clone(), most),
            environment,
        }
    }

    /// The store with this place in addresses.
    pub(crate) fn find(&self, slug: &str) -> Result<Store, Arc<Error>> {
        let found = self.sources.iter().position(|source| source.slug() == slug);
        found.ok_or_else(|| {
            Arc::new(
                Error::not_found(format!("the console does not show a store {slug}"))
                    .with_hint("start `esm console` with that store"),
            )
        })
    }

    /// The author of commands from this console.
    pub(crate) fn author(&self) -> &str {
        let control = self.options.control.as_ref();
        control.map_or("", |control| control.author.as_str())
    }

    pub(crate) fn source(&self, store: Store) -> &Arc<Source> {
        &self.sources[store]
    }

    pub(crate) async fn board(&self, store: Store) -> Read<Board> {
        let load = || BoardLoad::new(Arc::clone(self.source(store)));
        self.boards.get(store, load).await
    }

    /// The migration of an id, or of the beginning or end of one.
    ///
    /// # Errors
    /// `Invalid` for too few characters, or if it fits several, naming some; `NotFound`; those of reading
    /// the migrations.
    pub(crate) async fn migration_of(
        &self,
        store: Store,
        text: &str,
    ) -> Result<MigrationId, Arc<Error>> {
        if let Ok(whole) = text.parse() {
            return Ok(whole);
        }
        if text.len() < SHORTEST_PART {
            let error = Error::invalid(format!("not the id of a migration: {text}"));
            return Err(Arc::new(error.with_hint(
                "give the whole id, or at least 4 characters of its beginning or of its end",
            )));
        }
        let board = self.board(store).await?;
        let found = board.value.like(text).map(|shown| shown.state.migration);
        match found.collect::<Vec<_>>().as_slice() {
            [only] => Ok(*only),
            [] => Err(Arc::new(Error::not_found(format!(
                "unknown migration: {text}"
            )))),
            [first, second, ..] => Err(Arc::new(
                Error::invalid(format!(
                    "several migrations fit {text}: {first}, {second} …"
                ))
                .with_hint("give more characters"),
            )),
        }
    }

    pub(crate) async fn migration(
        &self,
        store: Store,
        migration: MigrationId,
    ) -> Read<MigrationView> {
        let load = || MigrationLoad::new(Arc::clone(self.source(store)), migration);
        self.migrations.get((store, migration), load).await
    }

    /// A page of the objects that a migration works on.
    pub(crate) async fn under_way(
        &self,
        store: Store,
        migration: MigrationId,
        page: usize,
    ) -> Read<UnderWay> {
        let load = || UnderWayLoad {
            source: Arc::clone(self.source(store)),
            migration,
            page,
        };
        self.under_way.get((store, migration, page), load).await
    }

    pub(crate) async fn preview(&self, store: Store, planned: &PlannedMigration) -> Read<Preview> {
        let load = || PreviewLoad {
            source: Arc::clone(self.source(store)),
            payloads: self.payloads.clone(),
            planned: Arc::new(planned.clone()),
        };
        self.previews.get((store, planned.migration), load).await
    }

    /// The samples of a saved plan, by its place among the plans.
    pub(crate) async fn plan_samples(
        &self,
        at: usize,
        plan: &Arc<MigrationPlan>,
    ) -> Read<Vec<VisibleSample>> {
        let load = || SavedPlanLoad {
            payloads: self.payloads.clone(),
            plan: Arc::clone(plan),
        };
        self.plans.get(at, load).await
    }

    pub(crate) async fn object(&self, store: Store, object: &ObjectId) -> Read<ShownObject> {
        let load = || ObjectLoad {
            source: Arc::clone(self.source(store)),
            object: object.clone(),
        };
        self.objects.get((store, object.clone()), load).await
    }

    pub(crate) async fn events(
        &self,
        store: Store,
        object: &ObjectId,
        stream: &StreamId,
        query: EventQuery,
    ) -> Read<EventPage> {
        let key = (store, object.clone(), stream.clone(), query.clone());
        let load = || EventPageLoad {
            source: Arc::clone(self.source(store)),
            payloads: self.payloads.clone(),
            object: object.clone(),
            stream: stream.clone(),
            query,
        };
        self.events.get(key, load).await
    }

    pub(crate) async fn list(&self, store: Store, query: ObjectQuery) -> Read<ObjectList> {
        let load = || ObjectListLoad {
            source: Arc::clone(self.source(store)),
            query: query.clone(),
        };
        self.lists.get((store, query.clone()), load).await
    }

    pub(crate) async fn locks(&self, store: Store) -> Read<Locks> {
        let load = || LocksLoad(Arc::clone(self.source(store)));
        self.locks.get(store, load).await
    }

    pub(crate) async fn backups(&self, store: Store) -> Read<Vec<BackupPlace>> {
        let load = || BackupsLoad(Arc::clone(self.source(store)));
        self.backups.get(store, load).await
    }
}
