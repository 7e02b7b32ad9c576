//! The object as applications see it: I1, I2, I3, and the document.

use stateright::Property;

use crate::protocol::Protocol;
use crate::world::{Event, Flaw, World};

/// I1, I3: whoever follows the document and the Closes finds every event that was appended, as its
/// image, once, and in order.
pub(crate) const READABLE: &str = "what is readable is what was appended";
/// I2.
pub(crate) const ONCE: &str = "no append happens twice";
/// R8.
pub(crate) const EXPECTED: &str = "an expected position holds";
/// R12.
pub(crate) const DOCUMENT: &str = "the document follows the Closes";
/// R15.
pub(crate) const DUAL_READ: &str = "a dual read returns the events before its position";

pub(super) fn properties() -> Vec<Property<Protocol>> {
    vec![
        Property::always(READABLE, |_: &Protocol, world: &World| {
            readable(world).eq(world.spec.events.iter().copied())
        }),
        Property::always(ONCE, |_: &Protocol, world: &World| !appended_twice(world)),
        Property::always(EXPECTED, |_: &Protocol, world: &World| {
            world.is_free_of(Flaw::StaleAppend)
        }),
        Property::always(DOCUMENT, |_: &Protocol, world: &World| {
            document_follows(world)
        }),
        Property::always(DUAL_READ, |_: &Protocol, world: &World| {
            world.is_free_of(Flaw::WrongRead)
        }),
    ]
}

/// What a reader finds: it follows the document, then every Close (R14).
fn readable(world: &World) -> impl Iterator<Item = Event> {
    let (_, end) = world.chain(world.document.active);
    world.stream(end).events()
}

/// Whether the object holds an append more than once: the same event twice, or one that was
/// migrated beside one that was not.
fn appended_twice(world: &World) -> bool {
    let events: Vec<_> = readable(world).collect();
    let again = |(at, event): (usize, &Event)| {
        let is_same = |other: &Event| other.root == event.root && other.form == event.form;
        events[..at].iter().any(is_same)
            // one that was migrated, and one that was not
            || events.iter().any(|other| other.root == event.root && (other.form == 1) != (event.form == 1))
            // one that was joined with another, and itself
            || events.iter().any(|other| other.joined == Some(event.root))
    };
    events.iter().enumerate().any(again)
}

/// The document is never ahead of the Closes, and never beside them.
fn document_follows(world: &World) -> bool {
    let mut stream = 0;
    for (closed, close) in &world.document.terminated {
        let stands = world.stream(*closed).close() == Some(*close);
        if *closed != stream || !stands {
            return false;
        }
        stream = close.target;
    }
    stream == world.document.active
}
