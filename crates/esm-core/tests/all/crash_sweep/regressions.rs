//! Bugs of esm that a sweep has found, each with the line that replayed it.
//!
//! The number in such a line is that of an operation of the saga as it was then. So what is replayed
//! here goes by the operation's name, at each operation of that name. Without what mended the bug,
//! each of these tests was seen to fail.

use esm_core::Result;
use esm_core::id::ObjectId;
use esm_testkit::sweep::{Disturbance, Scenario, Spot, SpotFault, Sweep, Then, chaos};
use esm_testkit::{Rule, Rules, events};

use super::scenarios;

fn replay(sweep: &Sweep, operation: u64, fault: SpotFault, then: Then) {
    let again = None;
    let spot = Spot {
        operation,
        fault,
        then,
        again,
    };
    if let Err(what) = sweep.one(spot) {
        panic!("ESM_CRASH={spot}: {what}");
    }
}

fn replay_at_each(sweep: &Sweep, name: &str, fault: SpotFault, then: Then) {
    let clean = sweep.clean();
    let named = clean.iter().filter(|operation| operation.call.name == name);
    let numbers: Vec<_> = named.map(|operation| operation.of_actor).collect();
    assert!(!numbers.is_empty(), "there is no {name}");
    for number in numbers {
        replay(sweep, number, fault, then);
    }
}

/// `ESM_CRASH=57:after:back cargo test -p esm-core --test all crash_sweep::crashes::bulk`: an undo left
/// what it could not undo without its document's entry and its books.
#[test]
fn what_an_undo_leaves_migrated_is_finished() -> Result<()> {
    let sweep = Sweep::of_crashes(scenarios::bulk()?);
    let (name, fault) = ("event_store.close", SpotFault::CrashAfter);
    replay_at_each(&sweep, name, fault, Then::RollBack);
    Ok(())
}

/// `ESM_CRASH=0:pause:rival cargo test -p esm-core --test all crash_sweep::zombies::undo`: an undo left
/// the target that it had begun where another migration had closed the source meanwhile.
#[test]
fn an_undo_discards_what_another_migration_has_superseded() -> Result<()> {
    let sweep = Sweep::of_zombies(scenarios::undo()?);
    replay(&sweep, 0, SpotFault::Pause, Then::Rival);
    Ok(())
}

/// `ESM_CRASH=20:after:same cargo test -p esm-core --test all crash_sweep::thinned_crashes::with_phases`:
/// a comparison that had stopped within a cell of the source continued at the cell's beginning.
#[test]
fn a_comparison_goes_on_within_the_cell_where_it_stopped() -> Result<()> {
    let sweep = Sweep::of_crashes(scenarios::with_phases()?);
    let (name, fault) = ("event_store.append", SpotFault::CrashAfter);
    replay_at_each(&sweep, name, fault, Then::Same);
    Ok(())
}

/// Found by chaos: a run crashed between the Fence of its first attempt and the clean-up, and another
/// migration closed the source; the process that resumed it removed the target of its last attempt alone.
#[test]
fn all_attempts_at_a_source_that_another_has_closed_are_removed() -> Result<()> {
    let object: ObjectId = "order/1".parse()?;
    let appended = events("e", ["Placed", "Paid", "Placed", "Placed", "Placed"]);
    let scenario = Scenario::new(object.clone(), Vec::new())
        .transform(Rules::new([("Paid", Rule::Drop)]))
        .appended_meanwhile(object, appended.collect())
        .unregistered();
    let line = "second@12:write first@16:delay=3600 second@19:write second@25:write \
                first@26:delay=2600 first@29:delay=500 first@31:delay=3200 second@37:fail \
                second@41:delay=3600 first@47:delay=115000 first@54:delay=64000 first@63:after";
    let disturbances = line.split_whitespace().map(str::parse);
    let disturbances = disturbances.collect::<Result<Vec<Disturbance>>>()?;
    assert_eq!(chaos(&scenario, &disturbances), Ok(()));
    Ok(())
}
