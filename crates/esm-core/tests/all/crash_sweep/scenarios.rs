//! What is swept.

use esm_core::Result;
use esm_core::backup::BackupOptions;
use esm_core::event::{Event, SchemaVersion};
use esm_core::id::ObjectId;
use esm_core::migration::BookClosingOptions;
use esm_core::migration::CutoverOptions;
use esm_core::migration::PublishPhases;
use esm_core::transform::{FunctionTransformer, Transformed};
use esm_testkit::sweep::Scenario;
use esm_testkit::{Rule, Rules, event, events};

/// Cells of these sizes, with events of three types in turn.
fn cells(sizes: &[usize]) -> Vec<Vec<Event>> {
    let mut events = events("e", ["Kept", "Dropped", "Split"].into_iter().cycle());
    let cell = |size: &usize| events.by_ref().take(*size).collect();
    sizes.iter().map(cell).collect()
}

fn object(number: u64) -> Result<ObjectId> {
    format!("order/{number}").parse()
}

fn dropping_and_splitting() -> Rules {
    Rules::new([("Dropped", Rule::Drop), ("Split", Rule::Split(2))])
}

pub(crate) fn identity() -> Result<Scenario> {
    Ok(Scenario::new(object(1)?, cells(&[3])))
}

pub(crate) fn dropping() -> Result<Scenario> {
    let scenario = Scenario::new(object(1)?, cells(&[2, 1, 3]));
    Ok(scenario.transform(dropping_and_splitting()))
}

pub(crate) fn empty() -> Result<Scenario> {
    Ok(Scenario::new(object(1)?, Vec::new()))
}

/// Target cells hold two events, so that there are several.
pub(crate) fn many_cells() -> Result<Scenario> {
    let scenario = Scenario::new(object(1)?, cells(&[1, 2, 3, 1, 2]));
    let scenario = scenario.transform(dropping_and_splitting());
    Ok(scenario.describe(|builder| builder.cells(2, 1 << 20)))
}

pub(crate) fn with_books() -> Result<Scenario> {
    let scenario = Scenario::new(object(1)?, cells(&[2, 2]));
    let scenario = scenario.transform(dropping_and_splitting());
    Ok(scenario.describe(|builder| {
        builder
            .backup(BackupOptions::new().include_document())
            .close_books(
                BookClosingOptions::new()
                    .archive(BackupOptions::new())
                    .metadata("why", "sweep"),
            )
    }))
}

pub(crate) fn undoing_itself() -> Result<Scenario> {
    Ok(dropping()?.describe(|builder| builder.with_rollback()))
}

pub(crate) fn bulk() -> Result<Scenario> {
    let scenario = Scenario::new(object(1)?, cells(&[2]))
        .and(object(2)?, cells(&[1, 2]))
        .and(object(3)?, Vec::new());
    let scenario = scenario.transform(dropping_and_splitting());
    Ok(scenario.describe(|builder| {
        let builder = builder.batch(2);
        builder.close_books(BookClosingOptions::new().archive(BackupOptions::new()))
    }))
}

/// Phases are published, and most is compared before the source's end is reached.
pub(crate) fn with_phases() -> Result<Scenario> {
    Ok(many_cells()?.describe(|builder| {
        let builder = builder.phases(PublishPhases::Always);
        builder.final_round(1).cells(2, 1 << 20)
    }))
}

/// The cutover waits for a window, while it polls for commands, records the progress, and
/// the lock is renewed.
pub(crate) fn with_a_window() -> Result<Scenario> {
    Ok(identity()?.describe(|builder| {
        let opens = "2024-01-01T00:00:25Z".parse().expect("a time");
        builder.cutover(CutoverOptions::default().not_before(opens))
    }))
}

/// The undo of a migration whose target has been begun.
pub(crate) fn undo() -> Result<Scenario> {
    Ok(many_cells()?.undone_after("event_store.append"))
}

/// The undo of a migration that has passed its pivot is refused.
pub(crate) fn late_undo() -> Result<Scenario> {
    Ok(dropping()?.undone_after("event_store.close"))
}

/// The undo of several objects, one of which has passed its pivot.
pub(crate) fn undo_of_bulk() -> Result<Scenario> {
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
fn since() -> Vec<Event> {
    let new = Event {
        schema_version: SchemaVersion(2),
        ..event("new", "Split")
    };
    vec![event("kept", "Kept"), new]
}

/// The undo after the pivot.
pub(crate) fn reversal() -> Result<Scenario> {
    Ok(dropping()?.reversed_with(down()?, since()))
}

/// The undo after the pivot of many cells, when nothing has come since.
pub(crate) fn reversal_of_many_cells() -> Result<Scenario> {
    Ok(many_cells()?.reversed_with(down()?, Vec::new()))
}

pub(crate) fn reversal_of_bulk() -> Result<Scenario> {
    Ok(bulk()?.reversed_with(down()?, since()))
}

/// The undo of an undo after the pivot, whose target has been begun.
pub(crate) fn undo_of_reversal() -> Result<Scenario> {
    Ok(reversal()?.undone_after("event_store.append"))
}

pub(crate) fn late_undo_of_reversal() -> Result<Scenario> {
    Ok(reversal()?.undone_after("event_store.close"))
}

/// All of them.
pub(crate) fn all() -> Result<Vec<Scenario>> {
    [
        identity,
        dropping,
        empty,
        many_cells,
        with_books,
        undoing_itself,
        bulk,
        with_phases,
        with_a_window,
        undo,
        late_undo,
        undo_of_bulk,
        reversal,
        reversal_of_many_cells,
        reversal_of_bulk,
        undo_of_reversal,
        late_undo_of_reversal,
    ]
    .map(|scenario| scenario())
    .into_iter()
    .collect()
}
