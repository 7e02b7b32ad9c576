//! Targets: I4 and I5.

use stateright::Property;

use crate::protocol::Protocol;
use crate::scope::Kind;
use crate::world::{Cell, Close, Event, Flaw, Slot, World, backup};

/// I4: when a source is closed, its target begins with what the transformation makes of it.
pub(crate) const CLOSED: &str = "a closed source equals its target";
/// What I4 rests on: a target is at all times the image of what its cursor says.
pub(crate) const IMAGE: &str = "a target is the image of what its cursor says";
/// I5: nobody removes the target of a Close; nor does its first cell name anything else (R13).
pub(crate) const KEPT: &str = "the target of a Close is kept";
/// A verification that fails means that a copier went wrong.
pub(crate) const VERIFIED: &str = "a verification finds no difference";
/// Targets have names of their own.
pub(crate) const OWN: &str = "the target of an attempt is its own";

pub(super) fn properties() -> Vec<Property<Protocol>> {
    vec![
        Property::always(CLOSED, |protocol: &Protocol, world: &World| {
            closes(world).all(|(source, close)| equals(protocol, world, source, close))
        }),
        Property::always(IMAGE, |protocol: &Protocol, world: &World| {
            is_damaged(protocol, world)
                || (0..world.streams.len() as Slot).all(|target| is_image(protocol, world, target))
        }),
        Property::always(KEPT, |_: &Protocol, world: &World| {
            closes(world).all(|(source, close)| kept(world, source, close))
        }),
        Property::always(VERIFIED, |protocol: &Protocol, world: &World| {
            is_damaged(protocol, world) || world.is_free_of(Flaw::VerificationFailed)
        }),
        Property::always(OWN, |_: &Protocol, world: &World| {
            world.is_free_of(Flaw::StrangeTarget)
        }),
    ]
}

/// Whether a cell was written other than it was meant: that must be found before the Close.
fn is_damaged(protocol: &Protocol, world: &World) -> bool {
    world.budget.damages < protocol.scope.budget.damages
}

fn closes(world: &World) -> impl Iterator<Item = (Slot, Close)> {
    (0..world.streams.len() as Slot)
        .filter_map(|slot| world.stream(slot).close().map(|close| (slot, close)))
}

fn equals(protocol: &Protocol, world: &World, source: Slot, close: Close) -> bool {
    let target = world.stream(close.target);
    if world.stream(source).is_deleted() || target.is_deleted() {
        return true;
    }
    let expected = match protocol.kind(close.migration) {
        Kind::Restore(count) => backup(count),
        Kind::Forward => {
            let events: Vec<_> = world.stream(source).events().collect();
            protocol.transformed(&events)
        }
        Kind::Reverse => protocol.copied(world, close.migration, source).concat(),
    };
    let migrated = usize::from(close.target_events);
    world.stream(source).next_revision() == close.events
        && expected.len() == migrated
        && target.events().take(migrated).eq(expected)
}

/// Up to the last cell that a copier wrote; nothing is said of one that was discarded and written to
/// again.
fn is_image(protocol: &Protocol, world: &World, target: Slot) -> bool {
    let stream = world.stream(target);
    let Some(origin) = stream.origin() else {
        return true;
    };
    if world.stream(origin.source).is_deleted() || stream.is_deleted() {
        return true;
    }
    let (mut found, mut complete_for, mut last) = (Vec::new(), 0, None);
    for cell in stream.cells() {
        let Cell::Data(data) = cell else { continue };
        let Some(cursor) = data.cursor else { break };
        found.extend_from_slice(&data.events);
        complete_for = usize::from(cursor);
        last = Some(data);
    }
    match protocol.kind(origin.migration) {
        Kind::Restore(count) => found == backup(count),
        _ => {
            let copied = protocol.copied(world, origin.migration, origin.source);
            let image = copied.get(..complete_for).map(|copied| copied.concat());
            let mut held = protocol.held(world, origin.migration, origin.source, complete_for);
            let flushed = last.filter(|data| data.flushed).and_then(|_| held.take());
            image.is_some_and(|mut image| {
                image.extend(flushed.map(Event::alone));
                image == found && last.is_none_or(|data| data.held == held)
            })
        }
    }
}

fn kept(world: &World, source: Slot, close: Close) -> bool {
    let target = world.stream(close.target);
    let names = |origin: crate::world::Origin| {
        origin.source == source && origin.migration == close.migration
    };
    (target.is_deleted() || target.origin().is_some_and(names))
        && target.next_revision() >= close.target_events
        && !target.has_gap()
}
