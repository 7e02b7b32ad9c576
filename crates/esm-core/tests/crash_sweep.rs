//! The crash sweep and the zombie sweep over the saga, on the in-memory fakes.
//!
//! A failure prints a line that replays it alone, such as
//! `ESM_CRASH=12:after:other cargo test -p esm-core --test crash_sweep identity`.

use esm_core::Result;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, ObjectId};
use esm_testkit::sweep::{Outcome, Scenario, Sweep};
use esm_testkit::{Rule, Rules};

/// Cells of these sizes, with events of three types in turn.
fn cells(sizes: &[u64]) -> Result<Vec<Vec<Event>>> {
    let types = ["Kept", "Dropped", "Split"];
    let mut number = 0_usize;
    let mut cells = Vec::new();
    for size in sizes {
        let mut events = Vec::new();
        for _ in 0..*size {
            let event_type = EventType::new(types[number % types.len()])?;
            let id = EventId::new(format!("e{number}"))?;
            events.push(Event::new(
                id,
                event_type,
                format!("{{\"number\":{number}}}"),
            ));
            number += 1;
        }
        cells.push(events);
    }
    Ok(cells)
}

fn object(number: u64) -> Result<ObjectId> {
    format!("order/{number}").parse()
}

fn dropping_and_splitting() -> Result<Rules> {
    Ok(Rules::new([
        (EventType::new("Dropped")?, Rule::Drop),
        (EventType::new("Split")?, Rule::Split(2)),
    ]))
}

fn identity() -> Result<Scenario> {
    Ok(Scenario::new(object(1)?, cells(&[3])?))
}

fn dropping() -> Result<Scenario> {
    let scenario = Scenario::new(object(1)?, cells(&[2, 1, 3])?);
    Ok(scenario.transform(dropping_and_splitting()?))
}

fn empty() -> Result<Scenario> {
    Ok(Scenario::new(object(1)?, Vec::new()))
}

/// Target cells hold two events, so that there are several.
fn many_cells() -> Result<Scenario> {
    let scenario = Scenario::new(object(1)?, cells(&[1, 2, 3, 1, 2])?);
    let scenario = scenario.transform(dropping_and_splitting()?);
    Ok(scenario.describe(|builder| builder.cells(2, 1 << 20)))
}

fn with_books() -> Result<Scenario> {
    let scenario = Scenario::new(object(1)?, cells(&[2, 2])?);
    let scenario = scenario.transform(dropping_and_splitting()?);
    Ok(scenario.describe(|builder| {
        builder
            .backup(|backup| backup.include_document())
            .close_books(|books| books.archive(|archive| archive).metadata("why", "sweep"))
    }))
}

fn undoing_itself() -> Result<Scenario> {
    Ok(dropping()?.describe(|builder| builder.with_rollback()))
}

fn bulk() -> Result<Scenario> {
    let scenario = Scenario::new(object(1)?, cells(&[2])?)
        .and(object(2)?, cells(&[1, 2])?)
        .and(object(3)?, Vec::new());
    let scenario = scenario.transform(dropping_and_splitting()?);
    Ok(scenario.describe(|builder| {
        builder
            .batch(2)
            .backup(|backup| backup)
            .close_books(|books| books.archive(|archive| archive))
    }))
}

fn crashes(name: &str, scenario: Result<Scenario>) -> Outcome {
    let command = format!("cargo test -p esm-core --test crash_sweep crashes::{name}");
    let sweep = Sweep::of_crashes(scenario.expect("the scenario is valid"));
    let outcome = sweep.replayed_by(command).check();
    println!("{name}: {outcome}");
    outcome
}

fn zombies(name: &str, scenario: Result<Scenario>) {
    let command = format!("cargo test -p esm-core --test crash_sweep zombies::{name}");
    let sweep = Sweep::of_zombies(scenario.expect("the scenario is valid"));
    println!("{name}: {}", sweep.replayed_by(command).check());
}

macro_rules! sweeps {
    ($with:ident: $($name:ident)*) => {
        mod $with {
            $(
                #[test]
                fn $name() {
                    super::$with(stringify!($name), super::$name());
                }
            )*
        }
    };
}

sweeps!(crashes: identity dropping empty many_cells with_books undoing_itself bulk);
sweeps!(zombies: identity dropping empty many_cells with_books undoing_itself bulk);
