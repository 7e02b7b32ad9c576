//! The migration that a sweep runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use esm_core::Result;
use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::migration::MigrationBuilder;
use esm_core::transform::{EventTransformer, Identity};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::Place;

type Find = Arc<dyn Fn() -> BoxFuture<'static, Result<Place>> + Send + Sync>;
type Describe = Arc<dyn Fn(MigrationBuilder) -> MigrationBuilder + Send + Sync>;

/// The migration that a sweep runs.
///
/// ```
/// use esm_testkit::event;
/// use esm_testkit::sweep::{Scenario, Sweep};
///
/// let scenario = Scenario::new("order/1".parse()?, vec![vec![event("e1", "Placed")]])
///     .and("order/2".parse()?, Vec::new())
///     .describe(|migration| migration.batch(1).with_rollback());
/// assert!(Sweep::of_crashes(scenario).clean().len() > 10);
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Scenario {
    pub(super) objects: Vec<(ObjectId, Vec<Vec<Event>>)>,
    pub(super) transformer: Arc<dyn EventTransformer>,
    pub(super) describe: Describe,
    pub(super) undone_after: Option<&'static str>,
    pub(super) reversal: Option<Reversal>,
    /// The events that writers append to an object. Without them writers generate events that no
    /// transformation changes.
    pub(super) appends: Option<BTreeMap<ObjectId, Vec<Event>>>,
    /// Whether writers have registered the transformation (R11).
    pub(super) registered: bool,
    /// Makes the stores of each run. Without it they are in memory.
    pub(super) place: Option<Find>,
}

/// An undo after the pivot.
#[derive(Clone)]
pub(super) struct Reversal {
    pub(super) down: Arc<dyn EventTransformer>,
    /// The events that applications append to each object between the migration and its undo.
    pub(super) since: Vec<Event>,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects = self
            .objects
            .iter()
            .map(|(object, cells)| (object, cells.len()));
        f.debug_map().entries(objects).finish()
    }
}

impl Scenario {
    /// Returns the migration of this object, whose stream has these cells.
    pub fn new(object: ObjectId, cells: Vec<Vec<Event>>) -> Self {
        Self {
            objects: vec![(object, cells)],
            transformer: Arc::new(Identity),
            describe: Arc::new(|builder| builder),
            undone_after: None,
            reversal: None,
            appends: None,
            registered: true,
            place: None,
        }
    }

    /// Adds another object, migrated together with the others.
    #[must_use]
    pub fn and(mut self, object: ObjectId, cells: Vec<Vec<Event>>) -> Self {
        self.objects.push((object, cells));
        self
    }

    /// Uses these stores instead of memory. Each run gets its own place.
    ///
    /// Runs have simulated time, which jumps to the next timer whenever all tasks wait. A store
    /// that waits for something real must do so without yielding its thread.
    #[must_use]
    pub fn at<F>(mut self, place: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Place>> + Send + 'static,
    {
        self.place = Some(Arc::new(move || place().boxed()));
        self
    }

    /// Sets the transformation. It defaults to the identity.
    #[must_use]
    pub fn transform(mut self, transformer: impl EventTransformer) -> Self {
        self.transformer = Arc::new(transformer);
        self
    }

    /// Sets the options of the migration.
    #[must_use]
    pub fn describe(
        mut self,
        describe: impl Fn(MigrationBuilder) -> MigrationBuilder + Send + Sync + 'static,
    ) -> Self {
        self.describe = Arc::new(describe);
        self
    }

    /// Sweeps the undo after the pivot instead of the migration ([R18](esm_core::protocol#r18)): an earlier process has
    /// migrated, and applications have appended these events to each object since. `down`
    /// transforms them back. It must handle the events of writers, too.
    #[must_use]
    pub fn reversed_with(mut self, down: impl EventTransformer, since: Vec<Event>) -> Self {
        let down = Arc::new(down);
        self.reversal = Some(Reversal { down, since });
        self
    }

    /// Returns the transformation that the swept process applies.
    pub(super) fn applied(&self) -> Arc<dyn EventTransformer> {
        match &self.reversal {
            Some(reversal) => Arc::clone(&reversal.down),
            None => Arc::clone(&self.transformer),
        }
    }

    /// Sweeps the undo instead of the migration: an earlier process crashed after its first
    /// operation of this name, such as `event_store.append`.
    #[must_use]
    pub fn undone_after(mut self, operation: &'static str) -> Self {
        self.undone_after = Some(operation);
        self
    }

    /// Writers append these events to this object, one at a time and in order, and then stop. By
    /// default they generate events that no transformation changes, without end.
    #[must_use]
    pub fn appended_meanwhile(mut self, object: ObjectId, events: Vec<Event>) -> Self {
        let appends = self.appends.get_or_insert_default();
        appends.insert(object, events);
        self
    }

    /// Writers have not registered the transformation. After the cutover the migration's policy
    /// applies to an event of a retired schema ([R11](esm_core::protocol#r11)).
    #[must_use]
    pub fn unregistered(mut self) -> Self {
        self.registered = false;
        self
    }
}
