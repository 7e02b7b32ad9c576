//! Each broken storage is rejected by its violation.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use esm_core::backup::BackupOptions;
use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::migration::BookClosingOptions;
use esm_testkit::memory::MemoryWorld;
use esm_testkit::sweep::{Disturbance, Place, Scenario, Spot, SpotFault, Sweep, Then, chaos};
use esm_testkit::tap::TappedBackups;
use esm_testkit::{environment, events};

use super::event_stores::Defect as OfStreams;
use super::records::Defect as OfRecords;
use super::{backups, event_stores, records};

/// The failure of an application's event that is missing.
const LOST: &str = "order/1: an acknowledged event is lost";

/// The failure of an abandoned target that is there.
const LEFT_OVER: &str = "streams are left over";

/// The failure of a process that was paused, and ends neither as done nor as superseded.
const ENDS_WRONGLY: &str = "the process that was paused ends as it may not";

/// The migration of one small stream.
fn migration() -> Scenario {
    let object: ObjectId = "order/1".parse().expect("a name");
    let events: Vec<Event> = events("e", ["Placed", "Paid", "Sent"]).collect();
    Scenario::new(object, vec![events[..2].to_vec(), events[2..].to_vec()])
}

fn backed_up() -> Scenario {
    migration().describe(|migration| migration.backup(BackupOptions::new()))
}

fn archived() -> Scenario {
    migration().describe(|migration| {
        migration.close_books(BookClosingOptions::new().archive(BackupOptions::new()))
    })
}

/// Where a migration meets a defect.
trait Defective: Debug + Copy + Send + Sync + 'static {
    fn place(self, world: MemoryWorld) -> Place;

    fn meets(self, scenario: Scenario) -> Scenario {
        scenario.at(move || async move { Ok(self.place(MemoryWorld::new(environment(0)))) })
    }
}

impl Defective for OfStreams {
    fn place(self, world: MemoryWorld) -> Place {
        let broken = event_stores::Broken::new(world.event_store.clone(), self);
        Place {
            event_store: Arc::new(broken),
            ..world.into()
        }
    }
}

impl Defective for OfRecords {
    fn place(self, world: MemoryWorld) -> Place {
        let broken = records::Broken {
            inner: world.records.clone(),
            defect: self,
        };
        Place {
            records: Arc::new(broken),
            ..world.into()
        }
    }
}

/// Backups that are lost.
#[derive(Debug, Clone, Copy)]
struct LosesWhatIsListed;

impl Defective for LosesWhatIsListed {
    fn place(self, world: MemoryWorld) -> Place {
        let tap = backups::LosesWhatIsListed(world.backups.clone());
        Place {
            backups: Arc::new(TappedBackups::new(world.backups(), tap)),
            ..world.into()
        }
    }
}

/// Backups that forget events.
#[derive(Debug, Clone, Copy)]
struct ForgetsWhatWasRead;

impl Defective for ForgetsWhatWasRead {
    fn place(self, world: MemoryWorld) -> Place {
        let forgetful = backups::ForgetsWhatWasRead {
            inner: world.backups(),
            read: AtomicBool::new(false),
        };
        Place {
            backups: Arc::new(forgetful),
            ..world.into()
        }
    }
}

/// Requires that the sweep rejects the defect by this violation, and that the first such spot alone
/// does so too. Returns the spots.
fn rejects(sweep: fn(Scenario) -> Sweep, defect: impl Defective, violation: &str) -> Vec<Spot> {
    let sweep = sweep(defect.meets(migration()));
    let failures = sweep.all().failures;
    let mut found = failures.clone();
    found.retain(|(_, what)| of_kind(what, violation));
    let Some((spot, what)) = found.first() else {
        panic!("{defect:?} is not rejected by {violation:?}: {failures:#?}");
    };
    let again = sweep.one(*spot).expect_err("it is still broken");
    assert!(again.starts_with(what), "{defect:?}, {spot}: {again}");
    found.into_iter().map(|(spot, _)| spot).collect()
}

/// Whether it begins with this violation, after the operation after which a watch found it.
fn of_kind(what: &str, violation: &str) -> bool {
    let first = what.lines().next().unwrap_or_default();
    first.starts_with(violation) || first.contains(&format!(": {violation}"))
}

/// Requires that the sweep finds nothing where nothing is broken: then the defect is what it rejects.
fn accepts(sweep: fn(Scenario) -> Sweep) {
    for scenario in [
        OfStreams::None.meets(migration()),
        OfRecords::None.meets(migration()),
    ] {
        sweep(scenario).check();
    }
}

fn crashes(scenario: Scenario) -> Sweep {
    Sweep::of_crashes(scenario).thinned()
}

/// One of five is enough to meet the defect.
fn pairs(scenario: Scenario) -> Sweep {
    Sweep::of_pairs(scenario).thinned().every(5)
}

#[test]
fn a_crash_sweep_rejects_what_is_broken() {
    accepts(crashes);
    for (defect, violation) in [
        (OfStreams::AppendsAtAnyTail, "I4: "),
        (OfStreams::FencesNothing, "undoing is refused"),
        (OfStreams::DiscardsNothing, LEFT_OVER),
        (OfStreams::DiscardsLate, LEFT_OVER),
    ] {
        rejects(crashes, defect, violation);
    }
    rejects(crashes, OfRecords::PutsAtAnyNumber, "I6: ");
}

#[test]
fn a_writer_sweep_rejects_what_is_broken() {
    accepts(Sweep::of_writers);
    for (defect, violation) in [
        (OfStreams::ClosesAtAnyTail, "I4: "),
        (OfStreams::LosesAppendsToTargets, LOST),
    ] {
        rejects(Sweep::of_writers, defect, violation);
    }
}

#[test]
fn a_zombie_sweep_rejects_what_is_broken() {
    accepts(Sweep::of_zombies);
    for (defect, violation) in [
        (OfStreams::AppendsAtAnyTail, "I4: "),
        (OfStreams::ClosesAtAnyTail, "R17: "),
        (OfStreams::DiscardsAllTargets, "I5: "),
        (OfStreams::TakesConflictsForCorruption, ENDS_WRONGLY),
    ] {
        rejects(Sweep::of_zombies, defect, violation);
    }
    rejects(Sweep::of_zombies, OfRecords::PutsAtAnyNumber, "I6: ");
    let left_over = rejects(Sweep::of_zombies, OfStreams::DiscardsNothing, LEFT_OVER);
    // where another has undone it, and in the end
    for then in [Then::RollBack, Then::Rival] {
        assert!(left_over.iter().any(|spot| spot.then == then), "{then:?}");
    }
}

/// The second crash is needed: with the first alone nothing shows.
#[test]
fn a_sweep_of_pairs_rejects_what_two_crashes_show() {
    accepts(pairs);
    let spot = rejects(pairs, OfRecords::RepeatsAnEpoch, "I6: ")[0];
    let alone = Spot {
        again: None,
        ..spot
    };
    let sweep = pairs(OfRecords::RepeatsAnEpoch.meets(migration()));
    assert!(spot.again.is_some() && sweep.one(alone).is_ok(), "{spot}");
}

#[test]
fn chaos_rejects_what_is_broken() {
    for (defect, fault, violation) in [
        (OfStreams::AppendsAtAnyTail, "twice", "I4: "),
        (OfStreams::ClosesAtAnyTail, "write", "I4: "),
        (OfStreams::LosesAppendsToTargets, "write", LOST),
        (OfStreams::DiscardsNothing, "delay=1000", LEFT_OVER),
    ] {
        chaos_rejects(defect, fault, violation);
    }
    chaos_rejects(LosesWhatIsListed, "fail", "I9: ");
}

/// Wants chaos to reject the defect by this violation, with this fault at one of the second
/// migrator's operations, and to find nothing there without the defect.
fn chaos_rejects(defect: impl Defective, fault: &str, violation: &str) {
    let scenario = backed_up();
    let [broken, sound] = [
        defect.meets(scenario.clone()),
        OfStreams::None.meets(scenario),
    ];
    let disturbed = |number: u64| -> [Disturbance; 1] {
        [format!("second@{number}:{fault}").parse().expect("one")]
    };
    let rejected = (0..60).find_map(|number| {
        let what = chaos(&broken, &disturbed(number)).err()?;
        of_kind(&what, violation).then_some(number)
    });
    let Some(number) = rejected else {
        panic!("{defect:?} is not rejected by {violation:?}");
    };
    assert_eq!(chaos(&sound, &disturbed(number)), Ok(()), "{defect:?}");
}

/// A violation without any fault is reported before anything is swept.
#[test]
fn what_is_broken_for_everybody_is_not_swept() {
    for (scenario, violation) in [
        (LosesWhatIsListed.meets(backed_up()), "I9: no backup"),
        (ForgetsWhatWasRead.meets(backed_up()), "I9: no backup"),
        (
            ForgetsWhatWasRead.meets(archived()),
            "the archive of order/1 is not its closed stream",
        ),
        (
            OfRecords::ClosesNoBooks.meets(archived()),
            "the books of order/1 are open",
        ),
    ] {
        let sweep = crashes(scenario);
        let what = failure_of(|| drop(sweep.all()));
        let expected = format!("without any fault: {violation}");
        assert!(what.starts_with(&expected), "{violation}: {what}");
    }
}

/// What it panics with.
fn failure_of(what: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(what)).expect_err("it is broken");
    *panic.downcast().expect("its message is text")
}

/// A failed sweep prints a line, and what it names is what has failed.
#[test]
fn the_line_that_is_printed_replays_the_failure() {
    let scenario = OfStreams::LosesAppendsToTargets.meets(migration());
    let sweep = Sweep::of_writers(scenario).replayed_by("cargo test my_sweep");
    let printed = failure_of(|| drop(sweep.check()));
    let line = printed
        .lines()
        .find_map(|line| line.strip_prefix("ESM_CRASH="));
    let (spot, command) = line.and_then(|line| line.split_once(' ')).expect("a line");
    assert_eq!(command, "cargo test my_sweep");
    let what = sweep
        .one(spot.parse().expect("a spot"))
        .expect_err("it fails again");
    let first = what.lines().next().unwrap_or_default();
    assert!(
        first.contains("is lost") && printed.contains(first),
        "{what}"
    );
}

/// A spot that no process reaches has tested nothing.
#[test]
fn a_fault_that_does_not_happen_is_a_failure() {
    let spot = "3000:after:other".parse().expect("a spot");
    let what = crashes(migration())
        .one(spot)
        .expect_err("it does not happen");
    assert!(what.starts_with("nothing happened"), "{what}");
}

/// Nor has a duplicate of what cannot be made twice; so none is put there.
#[test]
fn what_cannot_be_made_twice_is_not_duplicated() {
    let sweep = Sweep::of_crashes(backed_up());
    let spots = sweep.spots().into_iter();
    let duplicates = spots.filter(|spot| spot.fault == SpotFault::Duplicate);
    let duplicated: BTreeSet<_> = duplicates.map(|spot| spot.operation).collect();
    let mut once = BTreeSet::new();
    for operation in sweep.clean() {
        let call = operation.call;
        assert_ne!(
            duplicated.contains(&operation.of_actor),
            call.once,
            "{call:?}"
        );
        if call.once && once.insert(call.name) {
            let spot = format!("{}:twice:other", operation.of_actor);
            let nothing = sweep.one(spot.parse().expect("a spot"));
            let what = nothing.expect_err("it is not made twice");
            assert!(what.starts_with("nothing happened"), "{what}");
        }
    }
    let [section, events] = ["backups.section", "backups.events"];
    assert!(once.contains(section) && once.contains(events), "{once:?}");
}

/// Where the first process ends in spite of the fault, no other continues, and all continuations are
/// the same run.
#[test]
fn a_run_that_nobody_goes_on_with_is_made_once() {
    let sweep = crashes(migration());
    let (mut runs, mut repeated) = (BTreeSet::new(), 0);
    for spot in sweep.spots() {
        let log = sweep.one(spot).expect("nothing is wrong");
        let is_new = runs.insert((spot.operation, spot.fault, log));
        repeated += usize::from(!is_new);
    }
    let outcome = sweep.all();
    assert!(outcome.failures.is_empty() && repeated > 0, "{outcome}");
    assert_eq!((outcome.runs, outcome.unreached), (runs.len(), 0));
}
