//! The crash sweep and the zombie sweep over the saga, on the in-memory fakes.
//!
//! A failure prints a line that replays it alone, such as
//! `ESM_CRASH=12:after:other cargo test -p esm-core --test crash_sweep crashes::identity`.

mod regressions;
mod scenarios;

use esm_core::Result;
use esm_testkit::sweep::{Scenario, Sweep};
use esm_testkit::tap::Effect;

fn crashes(name: &str, scenario: Result<Scenario>) {
    run(
        name,
        "crashes",
        Sweep::of_crashes(scenario.expect("the scenario is valid")),
    );
}

/// Of the larger scenarios, without the runs that leave the storage as another run does.
fn thinned_crashes(name: &str, scenario: Result<Scenario>) {
    let sweep = Sweep::of_crashes(scenario.expect("the scenario is valid"));
    run(name, "thinned_crashes", sweep.thinned());
}

fn run(name: &str, with: &str, sweep: Sweep) {
    let command = format!("cargo test -p esm-core --test crash_sweep {with}::{name}");
    println!("{with} of {name}: {}", sweep.replayed_by(command).check());
}

fn pairs(name: &str, scenario: Result<Scenario>) {
    let sweep = Sweep::of_pairs(scenario.expect("the scenario is valid"));
    run(name, "pairs", sweep.thinned());
}

fn zombies(name: &str, scenario: Result<Scenario>) {
    run(
        name,
        "zombies",
        Sweep::of_zombies(scenario.expect("the scenario is valid")),
    );
}

fn writers(name: &str, scenario: Result<Scenario>) {
    run(
        name,
        "writers",
        Sweep::of_writers(scenario.expect("the scenario is valid")),
    );
}

macro_rules! sweeps {
    ($with:ident: $($name:ident)*) => {
        mod $with {
            $(
                #[test]
                fn $name() {
                    super::$with(stringify!($name), super::scenarios::$name());
                }
            )*
        }
    };
}

sweeps!(crashes: identity undo);
sweeps!(thinned_crashes: dropping empty many_cells with_books undoing_itself bulk late_undo undo_of_bulk with_phases with_a_window
    reversal reversal_of_many_cells reversal_of_bulk undo_of_reversal late_undo_of_reversal);
sweeps!(zombies: identity dropping empty many_cells with_books undoing_itself bulk undo with_phases with_a_window
    reversal reversal_of_bulk undo_of_reversal);
sweeps!(writers: identity dropping empty many_cells with_books bulk undo with_phases with_a_window
    reversal reversal_of_many_cells reversal_of_bulk undo_of_reversal);

// for the night: nextest leaves them out of its default profile
sweeps!(pairs: identity dropping many_cells with_books undo);

/// Every operation that the scenarios reach: a new storage call shows here, and is swept by being
/// in a scenario.
#[test]
fn no_operation_escapes() -> Result<()> {
    let mut names = std::collections::BTreeSet::new();
    for scenario in scenarios::all()? {
        let sweep = Sweep::of_crashes(scenario);
        names.extend(
            sweep
                .clean()
                .into_iter()
                .map(|operation| operation.call.name),
        );
    }
    let names: Vec<_> = names.into_iter().collect();
    insta::assert_snapshot!(names.join("\n"));
    Ok(())
}

/// The same seed gives the same run, and a small migration costs these operations (the budget of
/// writes for one small stream alone is nine).
#[test]
fn a_small_migration_is_these_operations() -> Result<()> {
    let run = || -> Result<Vec<String>> {
        let clean = Sweep::of_crashes(scenarios::identity()?).clean();
        Ok(clean.iter().map(ToString::to_string).collect())
    };
    assert_eq!(run()?, run()?);
    let clean = Sweep::of_crashes(scenarios::identity()?).clean();
    let writes = clean.iter().filter(|o| o.call.effect == Effect::Write);
    let writes: Vec<_> = writes.map(|operation| operation.call.name).collect();
    assert!(writes.len() <= 9, "{writes:?}");
    insta::assert_snapshot!(writes.join("\n"));
    Ok(())
}
