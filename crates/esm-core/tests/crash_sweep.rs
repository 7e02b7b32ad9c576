//! The crash sweep and the zombie sweep over the saga, on the in-memory fakes.
//!
//! A failure prints a line that replays it alone, such as
//! `ESM_CRASH=12:after:other cargo test -p esm-core --test crash_sweep identity`.

use esm_core::Result;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, ObjectId};
use esm_core::migration::PublishPhases;
use esm_core::transform::{FunctionTransformer, Transformed};
use esm_testkit::sweep::{Scenario, Sweep};
use esm_testkit::tap::Effect;
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
        let builder = builder.batch(2);
        builder.close_books(|books| books.archive(|archive| archive))
    }))
}

/// Phases are published, and most is compared before the source's end is reached.
fn with_phases() -> Result<Scenario> {
    Ok(many_cells()?.describe(|builder| {
        let builder = builder.phases(PublishPhases::Always);
        builder.final_round(1).cells(2, 1 << 20)
    }))
}

/// The cutover waits for a window, while commands are looked for and the progress is written down.
fn with_a_window() -> Result<Scenario> {
    Ok(identity()?.describe(|builder| {
        let opens = "2024-01-01T00:00:05Z".parse().expect("a time");
        builder.cutover(|cutover| cutover.not_before(opens))
    }))
}

/// The undo of a migration whose target has been begun.
fn undo() -> Result<Scenario> {
    Ok(many_cells()?.undone_after("event_store.append"))
}

/// The undo of a migration that has passed its pivot is refused.
fn late_undo() -> Result<Scenario> {
    Ok(dropping()?.undone_after("event_store.close"))
}

/// The undo of several objects, one of which has passed its pivot.
fn undo_of_bulk() -> Result<Scenario> {
    Ok(bulk()?.undone_after("event_store.close"))
}

/// The way back of [`dropping_and_splitting`]: of what it makes, the version before; the rest, that of
/// writers too, as it is.
fn down() -> Result<FunctionTransformer> {
    FunctionTransformer::for_all("sweep-down", 1, |event, _| {
        if event.schema_version.0 < 2 {
            return Ok(Transformed::Unchanged);
        }
        let mut back = event.clone();
        back.schema_version.0 -= 1;
        back.payload = "{\"back\":true}".into();
        Ok(Transformed::Events(vec![back]))
    })
}

/// What applications append between a migration and its undo: in the new schema, and in one that
/// stayed.
fn since() -> Result<Vec<Event>> {
    let event = |id, event_type| -> Result<Event> {
        Ok(Event::new(
            EventId::new(id)?,
            EventType::new(event_type)?,
            "{}",
        ))
    };
    let mut new = event("new", "Split")?;
    new.schema_version.0 = 2;
    Ok(vec![event("kept", "Kept")?, new])
}

/// The undo after the pivot.
fn reversal() -> Result<Scenario> {
    Ok(dropping()?.reversed_with(down()?, since()?))
}

/// The undo after the pivot of many cells, when nothing has come since.
fn reversal_of_many_cells() -> Result<Scenario> {
    Ok(many_cells()?.reversed_with(down()?, Vec::new()))
}

fn reversal_of_bulk() -> Result<Scenario> {
    Ok(bulk()?.reversed_with(down()?, since()?))
}

/// The undo of an undo after the pivot, whose target has been begun.
fn undo_of_reversal() -> Result<Scenario> {
    Ok(reversal()?.undone_after("event_store.append"))
}

fn late_undo_of_reversal() -> Result<Scenario> {
    Ok(reversal()?.undone_after("event_store.close"))
}

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
                    super::$with(stringify!($name), super::$name());
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
    for scenario in [with_books()?, bulk()?, undo()?, reversal()?] {
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
        let clean = Sweep::of_crashes(identity()?).clean();
        Ok(clean.iter().map(ToString::to_string).collect())
    };
    assert_eq!(run()?, run()?);
    let clean = Sweep::of_crashes(identity()?).clean();
    let writes = clean.iter().filter(|o| o.call.effect == Effect::Write);
    let writes: Vec<_> = writes.map(|operation| operation.call.name).collect();
    assert!(writes.len() <= 9, "{writes:?}");
    insta::assert_snapshot!(writes.join("\n"));
    Ok(())
}
