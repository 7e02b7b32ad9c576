//! Describing what is tested, and testing it.

use std::fmt;
use std::sync::Arc;

use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::migration::MigrationBuilder;
use esm_core::transform::EventTransformer;

use super::folds::Folds;
use super::prefixes;
use super::run::{self, Run};

type Describe = Arc<dyn Fn(MigrationBuilder) -> MigrationBuilder + Send + Sync>;

/// A world in memory that tests *your* transformation and migration: old events in, writers
/// running, faults on, and what the old code makes of the old events compared with what the new
/// code makes of the new ones.
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
/// It first transforms every beginning of the events (of long histories, some), without a storage,
/// and compares the folds. Then come the runs, each in a fresh world: a part of the events is there
/// at the beginning; writers with the production's
/// [`ObjectClient`](esm_core::router::ObjectClient) append the rest one by one, some while two
/// migrators without any lock work, which crash, stop, lose answers and do things twice, and some
/// after the cutover. In every run
///
/// - the protocol's invariants hold after each operation on the storage,
/// - in the end each acknowledged event, or its image, stands exactly once, in order,
/// - and the folds agree.
///
/// Whatever fails is made as small as it can be, and printed with a line that replays it.
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

/// What a [`World`] has seen to be right.
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
    /// Number of beginnings of histories whose folds agree.
    pub prefixes: u64,
    /// Number of runs.
    pub runs: u64,
    /// Number of events that writers appended, while the migration ran or after it, over all runs.
    pub appended: u64,
    /// Number of appends that were refused, over all runs: old code appended an event of a schema
    /// that the migration retired. That writer then stops.
    pub refused: u64,
    /// Number of migrators that crashed, over all runs.
    pub crashes: u64,
}

impl World {
    /// Tests this transformation. Without an object there is nothing to test.
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

    /// An object, such as `order/1`, and everything that ever happens to it in the old schema, in
    /// order. Ids are unique over all of it. With several objects the migration is of all of them.
    ///
    /// # Panics
    /// When that is no name of an object.
    #[must_use]
    pub fn object(mut self, object: &str, events: impl IntoIterator<Item = Event>) -> Self {
        let object = object.parse().unwrap_or_else(|error| panic!("{error}"));
        self.objects.push((object, events.into_iter().collect()));
        self
    }

    /// Migrates with these options: books, backup, checks, what becomes of retired schemas.
    #[must_use]
    pub fn migration(
        mut self,
        describe: impl Fn(MigrationBuilder) -> MigrationBuilder + Send + Sync + 'static,
    ) -> Self {
        self.describe = Arc::new(describe);
        self
    }

    /// Compares what `old` makes of the events as they were appended with what `new` makes of what
    /// stands in the migrated stream, by `same`.
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

    /// The writers have not registered the transformation with their
    /// [`ObjectClient`](esm_core::router::ObjectClient): what becomes of their events of old schemas
    /// after the cutover, the migration's policy decides. It refuses them unless told otherwise.
    #[must_use]
    pub fn unregistered(mut self) -> Self {
        self.registered = false;
        self
    }

    /// This many runs; 64 unless told.
    #[must_use]
    pub fn runs(mut self, runs: u32) -> Self {
        self.runs = runs;
        self
    }

    /// Other runs: the same seed gives the same.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Tests it; with the variable `ESM_WORLD`, that one run alone.
    ///
    /// # Panics
    /// When something is wrong, with a line that replays it.
    pub fn check(&self) -> WorldOutcome {
        match self.try_check() {
            Ok(outcome) => outcome,
            Err(what) => panic!("{what}"),
        }
    }

    /// As [`check`](Self::check), for who would rather have the answer.
    ///
    /// # Errors
    /// What is wrong, for people, with a line that replays it.
    pub fn try_check(&self) -> Result<WorldOutcome, String> {
        if self.objects.iter().all(|(_, events)| events.is_empty()) {
            return Err("there is nothing to test: give an object with events".to_owned());
        }
        let mut outcome = WorldOutcome {
            prefixes: prefixes::check(self)?,
            ..WorldOutcome::default()
        };
        match std::env::var("ESM_WORLD") {
            Ok(text) => {
                let one = text.parse::<Run>().map_err(|error| error.to_string())?;
                run::add(&mut outcome, one.happen(self)?);
            }
            Err(_) => run::all(self, &mut outcome)?,
        }
        Ok(outcome)
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
