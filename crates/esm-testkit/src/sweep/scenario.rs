//! What a sweep migrates, and how.

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

/// What a sweep migrates, and how.
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
    /// What writers append to an object; absent where they make up events that no transformation
    /// changes.
    pub(super) appends: Option<BTreeMap<ObjectId, Vec<Event>>>,
    /// Whether writers have registered the transformation (R11).
    pub(super) registered: bool,
    /// Where it takes place, each time in a place of its own; absent in memory.
    pub(super) place: Option<Find>,
}

/// An undo after the pivot.
#[derive(Clone)]
pub(super) struct Reversal {
    pub(super) down: Arc<dyn EventTransformer>,
    /// What applications append to each object between the migration and its undo.
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
    /// The migration of this object, whose stream has these cells.
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

    /// Another object, migrated together with the others.
    #[must_use]
    pub fn and(mut self, object: ObjectId, cells: Vec<Vec<Event>>) -> Self {
        self.objects.push((object, cells));
        self
    }

    /// In these stores instead of in memory. Each run asks for a place of its own.
    ///
    /// Runs have a time of their own, which jumps to the next timer whenever all wait: what waits for
    /// anything real must do so without giving its thread away.
    #[must_use]
    pub fn at<F>(mut self, place: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Place>> + Send + 'static,
    {
        self.place = Some(Arc::new(move || place().boxed()));
        self
    }

    /// By this transformation; events stay as they are unless told.
    #[must_use]
    pub fn transform(mut self, transformer: impl EventTransformer) -> Self {
        self.transformer = Arc::new(transformer);
        self
    }

    /// With these options.
    #[must_use]
    pub fn describe(
        mut self,
        describe: impl Fn(MigrationBuilder) -> MigrationBuilder + Send + Sync + 'static,
    ) -> Self {
        self.describe = Arc::new(describe);
        self
    }

    /// Not the migration is swept but its undo after the pivot (R18): an earlier process has
    /// migrated, and applications have appended these events to each object since. The way back is
    /// `down`, which must handle what writers append, too.
    #[must_use]
    pub fn reversed_with(mut self, down: impl EventTransformer, since: Vec<Event>) -> Self {
        let down = Arc::new(down);
        self.reversal = Some(Reversal { down, since });
        self
    }

    /// What the process that is swept applies to events.
    pub(super) fn applied(&self) -> Arc<dyn EventTransformer> {
        match &self.reversal {
            Some(reversal) => Arc::clone(&reversal.down),
            None => Arc::clone(&self.transformer),
        }
    }

    /// Not the migration is swept but its undo: an earlier process crashed after its first operation
    /// of this name, such as `event_store.append`.
    #[must_use]
    pub fn undone_after(mut self, operation: &'static str) -> Self {
        self.undone_after = Some(operation);
        self
    }

    /// Writers append these events to this object, one at a time and in order, and then no more.
    /// Unless told, they make up events that no transformation changes, without end.
    #[must_use]
    pub fn appended_meanwhile(mut self, object: ObjectId, events: Vec<Event>) -> Self {
        let appends = self.appends.get_or_insert_default();
        appends.insert(object, events);
        self
    }

    /// Writers have not registered the transformation: what becomes of an event of a retired schema
    /// after the cutover, the migration's policy decides (R11).
    #[must_use]
    pub fn unregistered(mut self) -> Self {
        self.registered = false;
        self
    }
}
