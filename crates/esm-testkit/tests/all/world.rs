//! The world finds what is wrong with a transformation and its migration, and nothing else.

use std::sync::atomic::{AtomicU64, Ordering};

use esm_core::backup::BackupOptions;
use esm_core::event::{Event, Schema, SchemaVersion};
use esm_core::id::{EventId, Fingerprint};
use esm_core::migration::BookClosingOptions;
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_testkit::{Rule, Rules, World, event, events};

/// Payments of an account, as old code wrote them: `+5`, `-3`.
fn old_events(amounts: &[i64]) -> Vec<Event> {
    let moved = |(number, amount): (usize, &i64)| Event {
        payload: amount.to_string().into(),
        ..event(format!("e{number}"), "Moved")
    };
    amounts.iter().enumerate().map(moved).collect()
}

fn amount(event: &Event) -> i64 {
    let text = String::from_utf8_lossy(&event.payload);
    text.parse().expect("an amount")
}

fn old_balance(events: &[Event]) -> i64 {
    events.iter().map(amount).sum()
}

/// Version 2 is in cents.
fn new_balance(events: &[Event]) -> i64 {
    let cents = |event: &Event| match event.schema_version.0 {
        2 => amount(event),
        _ => 100 * amount(event),
    };
    events.iter().map(cents).sum()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// A large amount does not fit.
    Overflows,
    /// Whatever is negative is dropped.
    Drops,
    /// Every output is another one.
    DrawsLots,
    /// Takes the place of the event for part of it.
    LooksAtTheRevision,
    /// Two events become one.
    ReusesIds,
    /// Is unable to.
    Fails,
}

#[derive(Debug)]
struct Cents(Mistake);

static LOTS: AtomicU64 = AtomicU64::new(0);

impl EventTransformer for Cents {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new("cents@1").expect("a valid literal")
    }

    fn handles(&self, schema: &Schema) -> bool {
        schema.version == SchemaVersion(1)
    }

    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        let mut cents = 100 * amount(event);
        let mut new = event.clone();
        match self.0 {
            Mistake::None => {}
            Mistake::Overflows => cents = cents.min(255),
            Mistake::Drops if cents < 0 => return Ok(Transformed::dropped("debts")),
            Mistake::Drops => {}
            Mistake::DrawsLots => cents += LOTS.fetch_add(1, Ordering::Relaxed) as i64,
            Mistake::LooksAtTheRevision => cents += context.revision.0 as i64,
            Mistake::ReusesIds => new.id = EventId::new("one").expect("a valid literal"),
            Mistake::Fails => return Err(TransformError::new("cents", "it cannot be")),
        }
        new.schema_version = SchemaVersion(2);
        new.payload = cents.to_string().into();
        Ok(Transformed::Events(vec![new]))
    }
}

fn world(mistake: Mistake) -> World {
    World::new(Cents(mistake))
        .object("account/1", old_events(&[1, 2, -1, 40, 0, -3, 7]))
        .folds(old_balance, new_balance, |old, new| 100 * old == *new)
}

#[test]
fn a_right_transformation_passes_and_the_world_is_not_idle() {
    let outcome = world(Mistake::None).check();
    assert_eq!((outcome.prefixes, outcome.runs), (8, 64));
    assert!(outcome.appended > 64 && outcome.crashes > 16, "{outcome}");
}

/// By default a migration refuses events of an old schema in the new stream.
#[test]
fn old_code_that_registers_nothing_is_refused_and_harms_nobody() {
    let outcome = world(Mistake::None).unregistered().check();
    assert!(outcome.refused > 16, "{outcome}");
    assert_eq!(world(Mistake::None).check().refused, 0);
}

#[test]
fn the_same_seed_gives_the_same_runs() {
    let seeded = |seed| world(Mistake::None).runs(8).seed(seed).check();
    assert_eq!(seeded(7), seeded(7));
    assert_ne!(seeded(7), seeded(8));
}

#[test]
fn every_mistake_is_found_before_anything_is_migrated() {
    for (mistake, told) in [
        (Mistake::Overflows, "its first 4 events: the folds differ"),
        (Mistake::Drops, "its first 3 events: the folds differ"),
        (Mistake::DrawsLots, "determinism"),
        (Mistake::LooksAtTheRevision, "depends on the revision"),
        (Mistake::ReusesIds, "has the id of another: one"),
        (Mistake::Fails, "it cannot be"),
    ] {
        let wrong = world(mistake).try_check().expect_err("it is a mistake");
        assert!(wrong.contains(told), "{mistake:?}: {wrong}");
    }
}

/// What is right for every beginning can be wrong when old code continues after the cutover: here
/// the migration lets it append old events unchanged, and the new code does not know them.
#[test]
fn a_run_finds_what_no_beginning_shows_and_can_be_replayed() {
    use esm_core::store::OnRetired;
    let only_cents = |events: &[Event]| events.iter().map(amount).sum::<i64>();
    let world = World::new(Cents(Mistake::None))
        .object("account/1", old_events(&[1, 2]))
        .migration(|builder| builder.on_retired(OnRetired::AcceptUnchanged))
        .unregistered()
        .folds(old_balance, only_cents, |old, new| 100 * old == *new);
    let wrong = world.try_check().expect_err("old events are accepted");
    assert!(wrong.contains("the folds differ"), "{wrong}");
    // nothing needs to go wrong: it is enough that an event comes late
    assert!(wrong.contains("replay it with ESM_WORLD='0 1'"), "{wrong}");
}

#[test]
fn many_objects_are_migrated_together_with_books_and_rollback() {
    let rules = Rules::new([("Dropped", Rule::Drop), ("Split", Rule::Split(2))]);
    let mut world = World::new(rules).runs(24).migration(|builder| {
        let builder = builder.with_rollback();
        builder.close_books(BookClosingOptions::new().archive(BackupOptions::new()))
    });
    for object in 0..3 {
        let events = events(format!("{object}-"), ["Kept", "Dropped", "Split", "Kept"]);
        world = world.object(&format!("order/{object}"), events);
    }
    // in a stream that had no such event at the cutover, a late one is stored as it is
    let parts = |events: &[Event]| {
        let split = events.iter().filter(|e| e.event_type.as_str() == "Split");
        let parts = split.map(|event| if event.schema_version.0 == 1 { 2 } else { 1 });
        parts.sum::<u32>()
    };
    let counted = world.folds(parts, parts, |old, new| old == new);
    let outcome = counted.check();
    assert!(outcome.appended > 24, "{outcome}");
}
