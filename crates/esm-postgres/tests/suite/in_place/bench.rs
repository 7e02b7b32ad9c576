//! A table, a transformation, and migrations of the one by the other.

use std::sync::Arc;

use esm_core::Result;
use esm_core::clock::Environment;
use esm_core::event::{Event, Schema};
use esm_core::id::{EventType, Fingerprint};
use esm_core::migration::{MigrationPlan, MigrationService, MigrationStrategy};
use esm_core::protocol::plan::PlannedMigration;
use esm_core::store::{HolderProcess, Processes, Stores};
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_postgres::{
    Description, InPlace, InPlaceOptions, LayoutStore, Pass, Rewrite, RewriteStatus, Running,
};

use crate::server::Place;

/// A transformation by a function; the name is its fingerprint.
#[derive(Debug, Clone)]
pub(crate) struct By {
    pub(crate) name: &'static str,
    pub(crate) change: fn(&mut Event),
}

impl EventTransformer for By {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self.name).unwrap()
    }

    fn handles(&self, _: &Schema) -> bool {
        true
    }

    fn transform(
        &self,
        event: &Event,
        _: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        let mut output = event.clone();
        (self.change)(&mut output);
        Ok(Transformed::Events(vec![output]))
    }
}

/// Renames `from` to `to`.
pub(crate) fn rename(event: &mut Event, from: &str, to: &str) {
    if event.event_type.as_str() == from {
        event.event_type = EventType::new(to).unwrap();
    }
}

/// Nothing is known of any process.
#[derive(Debug)]
pub(crate) struct NoProcesses;

impl Processes for NoProcesses {
    fn current(&self) -> Option<HolderProcess> {
        None
    }

    fn has_ended(&self, _: &HolderProcess) -> bool {
        false
    }
}

pub(crate) fn options(holder: &str) -> InPlaceOptions {
    InPlaceOptions::new(Environment::system(), holder, Arc::new(NoProcesses))
}

/// A table, and a transformation of it.
pub(crate) struct Bench {
    pub(crate) store: LayoutStore,
    pub(crate) in_place: InPlace,
    pub(crate) by: Arc<dyn EventTransformer>,
}

impl Bench {
    pub(crate) async fn new(place: &Place, by: By) -> Self {
        Self::with(place, by, options("test")).await
    }

    pub(crate) async fn with(place: &Place, by: By, options: InPlaceOptions) -> Self {
        Self::of(place.layout("").await.unwrap(), by, options)
    }

    /// With this text behind the address.
    pub(crate) async fn at(place: &Place, parameters: &str, by: By) -> Self {
        let store = place.layout(parameters).await.unwrap();
        Self::of(store, by, options("test"))
    }

    fn of(store: LayoutStore, by: By, options: InPlaceOptions) -> Self {
        let in_place = InPlace::new(&store, options);
        let by = in_place.transformer(Arc::new(by));
        Self {
            store,
            in_place,
            by,
        }
    }

    pub(crate) async fn plan(&self) -> Result<MigrationPlan> {
        let service = MigrationService::new(
            Stores::new(self.store.event_store()),
            self.store.records(),
            self.store.locks(),
        );
        let builder = service
            .migrate_all()
            .strategy(MigrationStrategy::InPlaceTransform)
            .transform(Arc::clone(&self.by));
        builder.dry_run().await
    }

    pub(crate) async fn begin(&self) -> Result<Running> {
        self.begin_with(|_| {}).await
    }

    /// Begins with some options.
    pub(crate) async fn begin_with(&self, set: fn(&mut PlannedMigration)) -> Result<Running> {
        let mut description = self.describe().await?;
        set(&mut description.planned);
        self.in_place.begin(description, Arc::clone(&self.by)).await
    }

    pub(crate) async fn describe(&self) -> Result<Description> {
        self.plan().await.map(Description::from)
    }

    /// Migrates until it has ended.
    pub(crate) async fn migrate(&self) -> Result<Pass> {
        let running = self.begin().await?;
        let pass = running.rewrite().await?;
        let settled = running.settle(9).await?;
        assert!(settled.is_done, "{settled:?}");
        assert_eq!(running.end(true).await?, RewriteStatus::Finished);
        Ok(pass)
    }

    pub(crate) async fn newest(&self) -> Rewrite {
        self.in_place.migrations().await.unwrap().remove(0)
    }
}

/// The first column of a query, as text.
pub(crate) async fn texts(place: &Place, query: &str) -> Vec<String> {
    let client = place.connect().await.unwrap().open().await.unwrap();
    let rows = client.simple_query(query).await.unwrap();
    let rows = rows.iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => {
            Some(row.get(0).unwrap_or("null").to_owned())
        }
        _ => None,
    });
    rows.collect()
}

/// All rows of a table, to the byte.
pub(crate) async fn rows(place: &Place, table: &str) -> Vec<String> {
    texts(place, &format!("SELECT e::text FROM {table} e ORDER BY 1")).await
}
