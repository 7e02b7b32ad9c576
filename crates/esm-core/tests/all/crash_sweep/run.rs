//! Runs a scenario through each kind of sweep.

use esm_core::Result;
use esm_testkit::sweep::{Scenario, Sweep};

pub(super) fn crashes(name: &str, scenario: Result<Scenario>) {
    check("crashes", name, Sweep::of_crashes(valid(scenario)));
}

/// Of the larger scenarios, without the runs that leave the storage as another run does.
pub(super) fn thinned_crashes(name: &str, scenario: Result<Scenario>) {
    let sweep = Sweep::of_crashes(valid(scenario)).thinned();
    check("thinned_crashes", name, sweep);
}

/// Of migrations of several objects, which have many operations: every second of the thinned runs.
pub(super) fn sparse_crashes(name: &str, scenario: Result<Scenario>) {
    let sweep = Sweep::of_crashes(valid(scenario)).thinned().every(2);
    check("sparse_crashes", name, sweep);
}

pub(super) fn pairs(name: &str, scenario: Result<Scenario>) {
    check("pairs", name, Sweep::of_pairs(valid(scenario)).thinned());
}

pub(super) fn zombies(name: &str, scenario: Result<Scenario>) {
    check("zombies", name, Sweep::of_zombies(valid(scenario)));
}

/// Of migrations of several objects: every second run.
pub(super) fn sparse_zombies(name: &str, scenario: Result<Scenario>) {
    let sweep = Sweep::of_zombies(valid(scenario)).every(2);
    check("sparse_zombies", name, sweep);
}

pub(super) fn writers(name: &str, scenario: Result<Scenario>) {
    check("writers", name, Sweep::of_writers(valid(scenario)));
}

fn valid(scenario: Result<Scenario>) -> Scenario {
    scenario.expect("the scenario is valid")
}

fn check(kind: &str, name: &str, sweep: Sweep) {
    let command = format!("cargo test -p esm-core --test all crash_sweep::{kind}::{name}");
    println!("{kind} of {name}: {}", sweep.replayed_by(command).check());
}
