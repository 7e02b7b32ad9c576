//! Runs all spots of a sweep.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::continuation::{self, First};
use super::end;
use super::simulation::Simulation;
use super::{Scenario, Spot, SpotFault, Then};
use crate::faults::{At, FaultPlan, Gate};
use crate::tap::{Call, Operation};

/// A scenario with a fault at each of its operations.
///
/// ```
/// use esm_testkit::event;
/// use esm_testkit::sweep::{Scenario, Sweep};
///
/// let scenario = Scenario::new("order/1".parse()?, vec![vec![event("e1", "Placed")]]);
/// let sweep = Sweep::of_crashes(scenario).thinned().replayed_by("cargo test my_sweep");
/// // `check` runs all; this runs one, as `ESM_CRASH=3:lost:other` does
/// let log = sweep.one("3:lost:other".parse()?).unwrap();
/// assert!(log.lines().count() > 10);
/// assert!(sweep.one("3000:lost:other".parse()?).is_err(), "there is no such operation");
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Sweep {
    scenario: Scenario,
    faults: Vec<SpotFault>,
    thens: Vec<Then>,
    thinned: bool,
    /// The number of spots of which one is run.
    every: usize,
    /// Whether the process that continues has a fault, too.
    pairs: bool,
    command: String,
}

/// The outcome of a sweep.
///
/// ```
/// use esm_testkit::event;
/// use esm_testkit::sweep::{Scenario, Sweep};
///
/// let scenario = Scenario::new("order/1".parse()?, vec![vec![event("e1", "Placed")]]);
/// let outcome = Sweep::of_writers(scenario).check();
/// assert_eq!(outcome.runs as u64, outcome.operations);
/// assert!(outcome.reached["event_store.close"] >= outcome.operations);
/// println!("{outcome}");
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Number of operations of the run without faults.
    pub operations: u64,
    /// Number of runs. Where the first process survives its fault and succeeds, all continuations
    /// are one run.
    pub runs: usize,
    /// Number of runs without their disturbance: a process that pauses has no lock, may need fewer
    /// operations, and then never reaches the one where it would pause. Where another fault does
    /// not happen, the run has failed.
    pub unreached: usize,
    /// Number of times that each operation was reached, over all runs.
    pub reached: BTreeMap<&'static str, u64>,
    /// The spots that failed, with their violations.
    pub failures: Vec<(Spot, String)>,
}

/// The outcome of one run.
struct Run {
    operations: Vec<Operation>,
    /// Whether all its disturbances happened.
    reached: bool,
    verdict: Result<(), String>,
}

impl Sweep {
    /// Returns the crash sweep of a scenario: crashes, failures, lost responses and duplicates,
    /// resumed by the same holder, by another, and rolled back.
    pub fn of_crashes(scenario: Scenario) -> Self {
        Self {
            scenario,
            faults: SpotFault::CRASHES.to_vec(),
            thens: Then::AFTER_CRASHES.to_vec(),
            thinned: false,
            every: 1,
            pairs: false,
            command: "cargo test".to_owned(),
        }
    }

    /// Returns the zombie sweep of a scenario: a process without a lock pauses, and wakes up when
    /// another has finished, rolled back, or migrated by itself.
    pub fn of_zombies(scenario: Scenario) -> Self {
        Self {
            faults: vec![SpotFault::Pause],
            thens: Then::DURING_PAUSES.to_vec(),
            ..Self::of_crashes(scenario)
        }
    }

    /// Returns the sweep of pairs of crashes: one process crashes, another continues and crashes
    /// too, and a third completes the migration. It has the square of a crash sweep's runs, so run
    /// it at night.
    pub fn of_pairs(scenario: Scenario) -> Self {
        Self {
            faults: SpotFault::ENDS.to_vec(),
            thens: vec![Then::Other],
            pairs: true,
            ..Self::of_crashes(scenario)
        }
    }

    /// Returns the writer sweep of a scenario: before each operation, an application appends an
    /// event to each object.
    pub fn of_writers(scenario: Scenario) -> Self {
        Self {
            faults: vec![SpotFault::Write],
            thens: vec![Then::Other],
            ..Self::of_crashes(scenario)
        }
    }

    /// Leaves out runs that leave the storage as another run does. After a read the storage is as
    /// it was after the write before it. So crashes and duplicates hit writes only, and of the
    /// failures of a read one is left. The variable `ESM_SWEEP=full` puts them back.
    #[must_use]
    pub fn thinned(mut self) -> Self {
        self.thinned = !is_full();
        self
    }

    /// Runs one of this many spots, spread over all: a shorter form, for a slow place. The variable
    /// `ESM_SWEEP=full` puts the others back.
    #[must_use]
    pub fn every(mut self, spots: usize) -> Self {
        self.every = if is_full() { 1 } else { spots.max(1) };
        self
    }

    /// Sets the command that runs this sweep, for the lines that replay a failure.
    #[must_use]
    pub fn replayed_by(mut self, command: impl Into<String>) -> Self {
        self.command = command.into();
        self
    }

    /// Returns the operations of a run without faults.
    ///
    /// # Panics
    /// When that run fails.
    pub fn clean(&self) -> Vec<Operation> {
        let run = self.run(None, u64::MAX);
        if let Err(what) = run.verdict {
            panic!("without any fault: {what}\n{}", log(&run.operations));
        }
        let first = |operation: &Operation| operation.actor == "first-1";
        run.operations.into_iter().filter(first).collect()
    }

    /// Returns all spots of this sweep.
    pub fn spots(&self) -> Vec<Spot> {
        let mut spots = Vec::new();
        for reached in self.clean() {
            let operation = reached.of_actor;
            for fault in self.faults_of(&reached.call) {
                let thens = self.thens.iter().copied();
                spots.extend(thens.map(|then| Spot {
                    operation,
                    fault,
                    then,
                    again: None,
                }));
            }
        }
        let spots = if self.pairs {
            spots.iter().flat_map(|first| self.pairs(*first)).collect()
        } else {
            spots
        };
        spots.into_iter().step_by(self.every).collect()
    }

    /// Returns the faults for such a call.
    fn faults_of(&self, call: &Call) -> impl Iterator<Item = SpotFault> {
        let faults = self.faults.iter().copied();
        let wanted = |fault: &SpotFault| !self.thinned || fault.matters_at(call.effect);
        faults.filter(move |fault| fault.can_happen_to(call) && wanted(fault))
    }

    /// Returns this spot with every fault of the process that continues after it.
    fn pairs(&self, first: Spot) -> Vec<Spot> {
        let run = self.run(Some(first), u64::MAX);
        let goes_on = run.operations.iter();
        let goes_on = goes_on.filter(|operation| operation.actor == first.then.goes_on());
        let mut spots = Vec::new();
        for reached in goes_on {
            for fault in self.faults_of(&reached.call) {
                let again = Some((reached.of_actor, fault));
                spots.push(Spot { again, ..first });
            }
        }
        spots
    }

    /// Runs all spots, in parallel. Where no process continues after a fault, because the first one
    /// ends, all continuations are one and the same run, which is made once.
    pub fn all(&self) -> Outcome {
        let spots = self.spots();
        let ways_to_go_on = |one: &Spot, other: &Spot| other.with(one.then) == *one;
        let alike: Vec<_> = spots.chunk_by(ways_to_go_on).collect();
        let next = AtomicUsize::new(0);
        let outcome = Mutex::new(Outcome {
            operations: self.clean().len() as u64,
            ..Outcome::default()
        });
        // generous: the limit detects a run that does not end, not a slow one
        let limit = 10 * outcome.lock().map_or(0, |o| o.operations) + 1000;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(alike) = alike.get(next.fetch_add(1, Ordering::Relaxed)) {
                        self.run_alike(alike, limit, &outcome);
                    }
                });
            }
        });
        let mut outcome = outcome
            .into_inner()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        outcome.failures.sort();
        outcome
    }

    /// Runs spots that differ in their continuation, as long as a process continues.
    fn run_alike(&self, spots: &[Spot], limit: u64, outcome: &Mutex<Outcome>) {
        for spot in spots {
            let run = self.run(Some(*spot), limit);
            let mut operations = run.operations.iter();
            let goes_on = operations.any(|operation| operation.actor == spot.then.goes_on());
            if let Ok(mut outcome) = outcome.lock() {
                outcome.add(*spot, run);
            }
            if !goes_on {
                break;
            }
        }
    }

    /// Runs one spot, and returns the violation, if there is one, and the log of its operations.
    ///
    /// # Errors
    /// The violation. A process that never reaches that operation is one, too, because then nothing
    /// was tested.
    pub fn one(&self, spot: Spot) -> Result<String, String> {
        let run = self.run(Some(spot), 100_000);
        let log = log(&run.operations);
        match run.verdict {
            Ok(()) if run.reached => Ok(log),
            Ok(()) => Err(format!("{UNREACHED}\n{log}")),
            Err(what) => Err(format!("{what}\n{log}")),
        }
    }

    /// Runs all spots, or, where the variable `ESM_CRASH` names one, that one alone with the log of
    /// its operations. Returns the outcome.
    ///
    /// # Panics
    /// When a spot fails, with lines that replay the first failures; when no disturbance happened
    /// in any run.
    pub fn check(&self) -> Outcome {
        if let Ok(text) = std::env::var("ESM_CRASH") {
            let spot = text.parse().unwrap_or_else(|e| panic!("{e}"));
            match self.one(spot) {
                Ok(log) => println!("{spot} is right\n{log}"),
                Err(what) => panic!("{spot}: {what}"),
            }
            return Outcome::default();
        }
        let outcome = self.all();
        if !outcome.failures.is_empty() {
            panic!("{}", outcome.describe(&self.command));
        }
        assert!(
            outcome.runs > outcome.unreached,
            "nothing was swept: {outcome}"
        );
        outcome
    }

    fn run(&self, spot: Option<Spot>, limit: u64) -> Run {
        let plan = FaultPlan::new().limited_to(limit);
        // a panic, of the saga or of a writer, is reported like any other failure: with its line
        let happen = || runtime().block_on(self.happen(spot, &plan));
        let verdict = catch_unwind(AssertUnwindSafe(happen));
        let verdict = verdict.unwrap_or_else(|panic| Err(words(&*panic)));
        let operations = plan.log().operations();
        let reached = spot.is_none_or(|spot| is_reached(spot, &operations));
        let may_miss = spot.is_none_or(|spot| spot.fault == SpotFault::Pause);
        let verdict = if reached || may_miss {
            verdict
        } else {
            verdict.and(Err(UNREACHED.to_owned()))
        };
        Run {
            operations,
            reached,
            verdict,
        }
    }

    async fn happen(&self, spot: Option<Spot>, plan: &FaultPlan) -> Result<(), String> {
        let gate = Gate::new();
        let simulation = Simulation::new(&self.scenario, plan.clone()).await;
        let simulation = simulation.map_err(|error| error.to_string())?;
        if let Some(spot) = spot {
            let at = At::OfActor("first-1".to_owned(), spot.operation);
            plan.inject(at, spot.fault.fault(&gate, &simulation.writer()));
            if let Some((operation, fault)) = spot.again {
                let at = At::OfActor(spot.then.goes_on().to_owned(), operation);
                plan.inject(at, fault.fault(&gate, &simulation.writer()));
            }
        }
        simulate(&simulation, spot, &gate).await
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime can be started")
}

/// Returns the message of a panic.
fn words(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", words.unwrap_or("without words"))
}

/// The failure of a run whose fault did not happen: its operations differ from those that the sweep
/// counted.
const UNREACHED: &str =
    "nothing happened: the process does not come to that operation, or it cannot be made twice";

/// Returns whether the processes reached the operations of their disturbances, and those could
/// happen.
fn is_reached(spot: Spot, operations: &[Operation]) -> bool {
    let happened = |actor: &str, number: u64, fault: SpotFault| {
        let mut of_actor = operations.iter().filter(|o| o.actor == actor);
        of_actor.any(|o| o.of_actor == number && fault.can_happen_to(&o.call))
    };
    let again = spot.again;
    happened("first-1", spot.operation, spot.fault)
        && again.is_none_or(|(number, fault)| happened(spot.then.goes_on(), number, fault))
}

async fn simulate(
    simulation: &Simulation<'_>,
    spot: Option<Spot>,
    gate: &Gate,
) -> Result<(), String> {
    let then = spot.map_or(Then::Same, |spot| spot.then);
    if spot.is_some_and(|spot| spot.fault == SpotFault::Pause) {
        return super::zombie::simulate(simulation, then, gate).await;
    }
    simulation.interrupt().await?;
    let first = continuation::start(simulation, "first", 1).await?;
    let ended = first.actor.run(first.work(simulation.scenario)).await;
    let first = First::of(simulation, ended);
    let refused = simulation.scenario.undone_after.is_some();
    if let (None, false, First::Superseded(how) | First::Ended { how, .. }) =
        (spot, refused, &first)
    {
        return Err(how.clone());
    }
    let gone_on = continuation::go_on(simulation, &first, then).await;
    // the violation that a watch found is the cause of the rest
    let verdict = end::check_violations(simulation).and(gone_on);
    verdict.map_err(|what| format!("{what}\nthe first process: {first:?}"))
}

impl Outcome {
    fn add(&mut self, spot: Spot, run: Run) {
        for operation in &run.operations {
            *self.reached.entry(operation.call.name).or_default() += 1;
        }
        self.runs += 1;
        self.unreached += usize::from(!run.reached);
        if let Err(what) = run.verdict {
            self.failures.push((spot, what));
        }
    }

    fn describe(&self, command: &str) -> String {
        let mut text = format!("{} of {} runs failed:\n", self.failures.len(), self.runs);
        for (spot, what) in self.failures.iter().take(5) {
            text += &format!("\n{what}\nESM_CRASH={spot} {command}\n");
        }
        let spots: Vec<_> = self
            .failures
            .iter()
            .map(|(spot, _)| spot.to_string())
            .collect();
        text + "\nall: " + &spots.join(" ")
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached: u64 = self.reached.values().sum();
        write!(
            f,
            "{} operations, {} runs ({} without their fault), {reached} operations in all, {} failures",
            self.operations,
            self.runs,
            self.unreached,
            self.failures.len()
        )
    }
}

/// Returns whether tests are to leave nothing out: the variable `ESM_SWEEP` is `full`.
///
/// ```
/// let versions = if esm_testkit::sweep::is_full() { &[15, 18][..] } else { &[18] };
/// assert!(versions.contains(&18));
/// ```
pub fn is_full() -> bool {
    std::env::var("ESM_SWEEP").as_deref() == Ok("full")
}

fn log(operations: &[Operation]) -> String {
    let lines: Vec<_> = operations.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
