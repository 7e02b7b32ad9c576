//! How much work of a run is done, and how long it took: the basis of the estimated time left.
//!
//! Concurrent objects share the machine. So the time of a unit is its share of the time: while four
//! objects are under way, each is charged a quarter. All shares together are the time of the run, and
//! the rates stay comparable when fewer objects are under way.
//!
//! Objects differ in size by orders of magnitude. A small object costs some requests, whatever its
//! size, and time for its events; both are fitted to the objects done. Of a large object each phase is
//! measured in events.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The most events of a small object.
const SMALL: u64 = 1_000;

/// Whether an object with this many source events is measured by events, and not as a whole.
pub(crate) fn is_large(events: u64) -> bool {
    events > SMALL
}

/// A kind of work, each with a rate of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Writing and reading back backups; in events of all objects, once for each.
    BackUp,
    /// The analysis of large objects.
    Analyse,
    /// The copy of large objects.
    Copy,
    /// The comparison of large objects.
    Verify,
    /// Writing and reading back archives; in events of all objects, once for each.
    Archive,
}

impl Phase {
    pub(crate) const ALL: [Self; 5] = [
        Self::BackUp,
        Self::Analyse,
        Self::Copy,
        Self::Verify,
        Self::Archive,
    ];
}

/// The work of one phase so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct PhaseWork {
    /// Units of the objects begun.
    pub(crate) begun: u64,
    /// Units done, including those that an earlier holder did.
    pub(crate) done: u64,
    /// Units that an earlier holder did.
    pub(crate) skipped: u64,
    /// The share of time that this run spent.
    pub(crate) took: Duration,
    /// Seconds per unit, mostly of the last [`RECENT`]; absent until a unit was done.
    pub(crate) cost: Option<f64>,
    recent: Recent,
}

/// Sums in which the past counts less and less, so that a rate follows a changed limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Recent {
    units: f64,
    seconds: f64,
}

/// Time after which a measurement counts for a third.
const RECENT: Duration = Duration::from_secs(60);

impl PhaseWork {
    fn add(&mut self, units: u64, took: Duration) {
        self.done += units;
        self.took += took;
        let keep = (-took.as_secs_f64() / RECENT.as_secs_f64()).exp();
        self.recent.units = self.recent.units * keep + units as f64;
        self.recent.seconds = self.recent.seconds * keep + took.as_secs_f64();
        if self.recent.units > 0.0 {
            self.cost = Some(self.recent.seconds / self.recent.units);
        }
    }
}

/// The work of all phases, by [`Phase`].
pub(crate) type PhasesWork = [PhaseWork; Phase::ALL.len()];

/// The small objects done: sums from which the time of an object and of an event follows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct SmallWork {
    pub(crate) objects: f64,
    pub(crate) events: f64,
    /// The share of time that they took, in seconds.
    pub(crate) took: f64,
    events_squared: f64,
    events_took: f64,
}

/// Seconds that small objects take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SmallCost {
    pub(crate) object: f64,
    pub(crate) event: f64,
}

impl SmallCost {
    /// The cost where only large objects were measured: this long for an event of a phase.
    pub(crate) fn assumed(event: f64) -> Self {
        let object = EVENTS_PER_OBJECT * event;
        Self { object, event }
    }
}

/// Fewest objects whose sizes and times are compared.
const FITTED: f64 = 30.0;

/// Events that take as long as the requests of an object, until that can be fitted.
const EVENTS_PER_OBJECT: f64 = 15.0;

impl SmallWork {
    pub(crate) fn add(&mut self, events: u64, took: Duration) {
        let (events, took) = (events as f64, took.as_secs_f64());
        self.objects += 1.0;
        self.events += events;
        self.took += took;
        self.events_squared += events * events;
        self.events_took += events * took;
    }

    /// Fits the time of an object and of an event by least squares, neither below zero. Objects that
    /// are about equal in size do not show the difference.
    pub(crate) fn cost(&self) -> Option<SmallCost> {
        if self.objects < 1.0 || self.took <= 0.0 {
            return None;
        }
        let mean = self.events / self.objects;
        let variance = self.events_squared / self.objects - mean * mean;
        if self.objects < FITTED || variance < 0.04 * mean * mean || variance <= 0.0 {
            let units = self.events + EVENTS_PER_OBJECT * self.objects;
            let event = self.took / units;
            let object = EVENTS_PER_OBJECT * event;
            return Some(SmallCost { object, event });
        }
        let covariance = self.events_took / self.objects - mean * self.took / self.objects;
        let event = (covariance / variance).clamp(0.0, self.took / self.events);
        let object = (self.took - event * self.events) / self.objects;
        Some(SmallCost { object, event })
    }
}

/// The size of a scope, as far as it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    /// Objects of the scope, if they were listed.
    pub(crate) objects: Option<u64>,
    /// Those of them that were counted.
    pub(crate) counted: u64,
    /// Counted objects that need no migration.
    pub(crate) up_to_date: u64,
    /// Counted objects to be migrated that are small.
    pub(crate) small: u64,
    /// Source events of the counted objects to be migrated that are large.
    pub(crate) large_events: u64,
    /// Source events of the counted objects to be migrated.
    pub(crate) events: u64,
}

impl Totals {
    /// Returns the totals of a single object with this many events.
    pub(crate) fn of_one(events: u64) -> Self {
        let mut totals = Self {
            objects: Some(1),
            ..Self::default()
        };
        totals.add(events);
        totals
    }

    /// Counts an object to be migrated.
    pub(crate) fn add(&mut self, events: u64) {
        self.counted += 1;
        self.events += events;
        if is_large(events) {
            self.large_events += events;
        } else {
            self.small += 1;
        }
    }

    /// Counts an object that needs no migration.
    pub(crate) fn add_up_to_date(&mut self) {
        self.counted += 1;
        self.up_to_date += 1;
    }

    /// Whether every object of the scope was counted.
    pub(crate) fn is_exact(&self) -> bool {
        self.objects.is_some_and(|objects| self.counted >= objects)
    }
}

/// Collects the work of a run.
#[derive(Debug, Default)]
pub(crate) struct Work {
    state: Mutex<WorkState>,
}

#[derive(Debug, Clone, Copy, Default)]
struct WorkState {
    phases: PhasesWork,
    small: SmallWork,
    totals: Option<Totals>,
    backup: Option<BackupLap>,
    shared: SharedTime,
    started: Option<Duration>,
    /// The time of writing and reading back backups.
    backups: Duration,
}

/// The time divided by the number of objects under way.
#[derive(Debug, Clone, Copy, Default)]
struct SharedTime {
    passed: Duration,
    /// The time in which any object was under way.
    active: Duration,
    at: Duration,
    /// Negative while more wait than are under way: a run also waits between its objects.
    objects: i64,
}

impl SharedTime {
    fn advance(&mut self, now: Duration) {
        let since = now.saturating_sub(self.at);
        let objects = u32::try_from(self.objects).unwrap_or(0);
        if objects > 0 {
            self.active += since;
        }
        self.passed += since.checked_div(objects).unwrap_or_default();
        self.at = now;
    }
}

/// The backup that is written or read back. A run has one at a time.
#[derive(Debug, Clone, Copy)]
struct BackupLap {
    phase: Phase,
    since: Duration,
}

impl Work {
    fn update(&self, change: impl FnOnce(&mut WorkState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn state(&self) -> WorkState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change_objects(&self, now: Duration, change: impl FnOnce(i64) -> i64) {
        self.update(|state| {
            state.shared.advance(now);
            state.shared.objects = change(state.shared.objects);
        });
    }

    /// Returns the time so far, divided by the objects under way.
    pub(crate) fn shared_time(&self, now: Duration) -> Duration {
        self.update(|state| state.shared.advance(now));
        self.state().shared.passed
    }

    /// Returns how long the run has worked; `None` before the size of the scope is known.
    pub(crate) fn spent(&self, now: Duration) -> Option<Spent> {
        self.update(|state| state.shared.advance(now));
        let state = self.state();
        Some(Spent {
            since_start: now.saturating_sub(state.started?),
            active: state.shared.active + state.backups,
            under_way: u64::try_from(state.shared.objects).unwrap_or(0),
        })
    }

    /// Sets the size of the scope. The work begins with the first call.
    pub(crate) fn set_totals(&self, totals: Totals, now: Duration) {
        self.update(|state| {
            state.totals = Some(totals);
            state.started.get_or_insert(now);
        });
    }

    /// Returns the size of the scope, once it is known in part.
    pub(crate) fn totals(&self) -> Option<Totals> {
        self.state().totals
    }

    pub(crate) fn phases(&self) -> PhasesWork {
        self.state().phases
    }

    pub(crate) fn small(&self) -> SmallWork {
        self.state().small
    }

    /// A small object of this many events was done in this time.
    pub(crate) fn add_small(&self, events: u64, took: Duration) {
        self.update(|state| {
            state.small.add(events, took);
        });
    }

    /// An object begins a phase with this many units.
    pub(crate) fn begin(&self, phase: Phase, units: u64) {
        self.update(|state| state.phases[phase as usize].begun += units);
    }

    /// An earlier holder did these units.
    pub(crate) fn skip(&self, phase: Phase, units: u64) {
        self.update(|state| {
            let work = &mut state.phases[phase as usize];
            work.done += units;
            work.skipped += units;
        });
    }

    /// A backup or an archive begins.
    pub(crate) fn start_backup(&self, phase: Phase, now: Duration) {
        let since = now;
        self.update(|state| state.backup = Some(BackupLap { phase, since }));
    }

    /// Events were written into the backup, or read back from it.
    pub(crate) fn back_up(&self, events: u64, now: Duration) {
        let before = self.state().backup;
        let Some(BackupLap { phase, since }) = before else {
            return;
        };
        let took = now.saturating_sub(since);
        self.add(phase, events, took);
        self.update(|state| state.backups += took);
        self.start_backup(phase, now);
    }

    /// These units were done in this time.
    pub(crate) fn add(&self, phase: Phase, units: u64, took: Duration) {
        self.update(|state| {
            state.phases[phase as usize].add(units, took);
        });
    }
}

/// How long a run has worked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    /// Time since the work began.
    pub(crate) since_start: Duration,
    /// Time in which an object or a backup was under way.
    pub(crate) active: Duration,
    /// Objects under way now.
    pub(crate) under_way: u64,
}
