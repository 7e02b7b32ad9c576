//! Describes a test.

use std::fmt;
use std::sync::Arc;

use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::migration::MigrationBuilder;
use esm_core::transform::EventTransformer;

use super::folds::Folds;

type Describe = Arc<dyn Fn(MigrationBuilder) -> MigrationBuilder + Send + Sync>;

/// A world in memory that tests *your* transformation and migration. It takes old events, runs
/// writers, injects faults, and compares the old code's fold of the old events with the new code's
/// fold of the new ones.
///
/// ```
/// use esm_core::event::Event;
/// use esm_testkit::{Rule, Rules, World, events};
///
/// // your transformer; this one makes two instalments of each payment
/// let halves = Rules::new([("Paid", Rule::Split(2))]).declaring();
/// World::new(halves)
///     .object("order/1", events("e", ["Paid", "Paid", "Paid"]))
///     .folds(
///         |old: &[Event]| old.len(),      // the state that old code folds old events to
///         |new: &[Event]| new.len() / 2,  // the state that new code folds new events to
///         |old, new| old == new,
///     )
///     .check();
/// ```
///
/// It first transforms every prefix of the events (of long histories, some prefixes), without a
/// storage, and compares the folds. Then come the runs, each in a fresh world. Some of the events
/// are there from the beginning. Writers with the production's
/// [`ObjectClient`](esm_core::router::ObjectClient) append the rest one by one: some while two
/// migrators without any lock work, crash, stall, lose responses and repeat calls, and some after
/// the cutover. In every run
///
/// - the protocol's invariants hold after each operation on the storage,
/// - each acknowledged event, or its image, is finally stored exactly once, in order,
/// - and the folds agree.
///
/// A failure is shrunk as far as possible, and printed with a line that replays it.
#[derive(Clone)]
pub struct World {
    pub(super) transformer: Arc<dyn EventTransformer>,
    pub(super) objects: Vec<(ObjectId, Vec<Event>)>,
    pub(super) describe: Describe,
    pub(super) folds: Folds,
    pub(super) registered: bool,
    pub(super) runs: u32,
    pub(super) seed: u64,
}

/// The runs of a [`World`] in which everything was right.
///
/// ```
/// use esm_core::transform::Identity;
/// use esm_testkit::{World, event};
///
/// let outcome = World::new(Identity).object("order/1", [event("e1", "Paid")]).runs(4).check();
/// assert_eq!((outcome.runs, outcome.refused), (4, 0));
/// println!("{outcome}");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorldOutcome {
    /// Number of prefixes of histories whose folds agree.
    pub prefixes: u64,
    /// Number of runs.
    pub runs: u64,
    /// Number of events that writers appended, during or after the migration, over all runs.
    pub appended: u64,
    /// Number of refused appends, over all runs: old code appended an event of a schema that the
    /// migration retired. That writer then stops.
    pub refused: u64,
    /// Number of migrators that crashed, over all runs.
    pub crashes: u64,
}

impl World {
    /// Returns a test of this transformation. Without an object there is nothing to test.
    pub fn new(transformer: impl EventTransformer) -> Self {
        Self {
            transformer: Arc::new(transformer),
            objects: Vec::new(),
            describe: Arc::new(|builder| builder),
            folds: Folds::none(),
            registered: true,
            runs: 64,
            seed: 1,
        }
    }

    /// Adds an object, such as `order/1`, with its whole history in the old schema, in order. Event
    /// ids are unique over all objects. One migration migrates all objects.
    ///
    /// # Panics
    /// When the name is not a valid object.
    #[must_use]
    pub fn object(mut self, object: &str, events: impl IntoIterator<Item = Event>) -> Self {
        let object = object.parse().unwrap_or_else(|error| panic!("{error}"));
        self.objects.push((object, events.into_iter().collect()));
        self
    }

    /// Migrates with these options: books, backup, checks, the policy for retired schemas.
    #[must_use]
    pub fn migration(
        mut self,
        describe: impl Fn(MigrationBuilder) -> MigrationBuilder + Send + Sync + 'static,
    ) -> Self {
        self.describe = Arc::new(describe);
        self
    }

    /// Compares the fold of the appended events by `old` with the fold of the migrated stream by
    /// `new`, using `same`.
    ///
    /// After the cutover the stream can hold events of the old schema too, where the migration
    /// accepts them unchanged.
    #[must_use]
    pub fn folds<O: fmt::Debug, N: fmt::Debug>(
        mut self,
        old: impl Fn(&[Event]) -> O + Send + Sync + 'static,
        new: impl Fn(&[Event]) -> N + Send + Sync + 'static,
        same: impl Fn(&O, &N) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.folds = Folds::new(old, new, same);
        self
    }

    /// Leaves the transformation out of the writers'
    /// [`ObjectClient`](esm_core::router::ObjectClient). After the cutover the migration's policy
    /// then applies to their events of old schemas. It defaults to refusing them.
    #[must_use]
    pub fn unregistered(mut self) -> Self {
        self.registered = false;
        self
    }

    /// Sets the number of runs. Defaults to 64.
    #[must_use]
    pub fn runs(mut self, runs: u32) -> Self {
        self.runs = runs;
        self
    }

    /// Selects other runs. The same seed gives the same runs.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects = self.objects.iter().map(|(object, e)| (object, e.len()));
        f.debug_map().entries(objects).finish()
    }
}

impl fmt::Display for WorldOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} beginnings, {} runs, {} appends, {} refused, {} crashes",
            self.prefixes, self.runs, self.appended, self.refused, self.crashes
        )
    }
}
