//! The world finds what is wrong with a transformation and its migration, and nothing else.

use std::sync::atomic::{AtomicU64, Ordering};

use esm_core::Result;
use esm_core::event::{Event, Schema, SchemaVersion};
use esm_core::id::{EventId, EventType, Fingerprint};
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_testkit::{Rule, Rules, World};

/// Payments of an account, as old code wrote them: `+5`, `-3`.
fn old_events(amounts: &[i64]) -> Result<Vec<Event>> {
    let event = |(number, amount): (usize, &i64)| {
        let id = EventId::new(format!("e{number}"))?;
        Ok(Event::new(
            id,
            EventType::new("Moved")?,
            format!("{amount}"),
        ))
    };
    amounts.iter().enumerate().map(event).collect()
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

fn world(mistake: Mistake) -> Result<World> {
    let events = old_events(&[1, 2, -1, 40, 0, -3, 7])?;
    Ok(World::new(Cents(mistake))
        .object("account/1", events)
        .folds(old_balance, new_balance, |old, new| 100 * old == *new))
}

#[test]
fn a_right_transformation_passes_and_the_world_is_not_idle() -> Result<()> {
    let outcome = world(Mistake::None)?.check();
    assert_eq!((outcome.prefixes, outcome.runs), (8, 64));
    assert!(outcome.appended > 64 && outcome.crashes > 16, "{outcome}");
    Ok(())
}

/// Unless told otherwise, a migration refuses what would be of an old schema in the new stream.
#[test]
fn old_code_that_registers_nothing_is_refused_and_harms_nobody() -> Result<()> {
    let outcome = world(Mistake::None)?.unregistered().check();
    assert!(outcome.refused > 16, "{outcome}");
    assert_eq!(world(Mistake::None)?.check().refused, 0);
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_runs() -> Result<()> {
    let seeded = |seed| Ok::<_, esm_core::Error>(world(Mistake::None)?.runs(8).seed(seed).check());
    assert_eq!(seeded(7)?, seeded(7)?);
    assert_ne!(seeded(7)?, seeded(8)?);
    Ok(())
}

#[test]
fn every_mistake_is_found_before_anything_is_migrated() -> Result<()> {
    for (mistake, told) in [
        (Mistake::Overflows, "its first 4 events: the folds differ"),
        (Mistake::Drops, "its first 3 events: the folds differ"),
        (Mistake::DrawsLots, "determinism"),
        (Mistake::LooksAtTheRevision, "depends on the revision"),
        (Mistake::ReusesIds, "has the id of another: one"),
        (Mistake::Fails, "it cannot be"),
    ] {
        let wrong = world(mistake)?.try_check().expect_err("it is a mistake");
        assert!(wrong.contains(told), "{mistake:?}: {wrong}");
    }
    Ok(())
}

/// What is right for every beginning can be wrong when old code goes on after the cutover: here
/// the migration lets it append old events unchanged, and the new code does not know them.
#[test]
fn a_run_finds_what_no_beginning_shows_and_can_be_replayed() -> Result<()> {
    use esm_core::store::OnRetired;
    let only_cents = |events: &[Event]| events.iter().map(amount).sum::<i64>();
    let world = World::new(Cents(Mistake::None))
        .object("account/1", old_events(&[1, 2])?)
        .migration(|builder| builder.on_retired(OnRetired::AcceptUnchanged))
        .unregistered()
        .folds(old_balance, only_cents, |old, new| 100 * old == *new);
    let wrong = world.try_check().expect_err("old events are accepted");
    assert!(wrong.contains("the folds differ"), "{wrong}");
    // nothing needs to go wrong: it is enough that an event comes late
    assert!(wrong.contains("replay it with ESM_WORLD='0 1'"), "{wrong}");
    Ok(())
}

#[test]
fn many_objects_are_migrated_together_with_books_and_rollback() -> Result<()> {
    let types = ["Kept", "Dropped", "Split"];
    let rules = Rules::new([
        (EventType::new("Dropped")?, Rule::Drop),
        (EventType::new("Split")?, Rule::Split(2)),
    ]);
    let mut world = World::new(rules).runs(24).migration(|builder| {
        let builder = builder.with_rollback();
        builder.close_books(|books| books.archive(|archive| archive))
    });
    for object in 0..3 {
        let event = |number: usize| {
            let id = EventId::new(format!("{object}-{number}"))?;
            Ok(Event::new(id, EventType::new(types[number % 3])?, "{}"))
        };
        let events = (0..4).map(event).collect::<Result<Vec<_>>>()?;
        world = world.object(&format!("order/{object}"), events);
    }
    // in a stream that had no such event at the cutover, a late one stands as it is
    let parts = |events: &[Event]| {
        let split = events.iter().filter(|e| e.event_type.as_str() == "Split");
        let parts = split.map(|event| if event.schema_version.0 == 1 { 2 } else { 1 });
        parts.sum::<u32>()
    };
    let counted = world.folds(parts, parts, |old, new| old == new);
    let outcome = counted.check();
    assert!(outcome.appended > 24, "{outcome}");
    Ok(())
}
