//! Journals and outcomes: I6 and I7.

use stateright::Property;

use crate::protocol::Protocol;
use crate::world::{Entry, Flaw, Slot, World};

/// I6: epochs never go back, nothing follows the end.
pub(crate) const LEGAL: &str = "every record of a journal has its place";
/// I7: what was rolled back was never closed, what is completed was.
pub(crate) const OUTCOME: &str = "a journal ends as the streams do";

pub(super) fn properties() -> Vec<Property<Protocol>> {
    vec![
        Property::always(LEGAL, |_: &Protocol, world: &World| {
            world.is_free_of(Flaw::IllegalRecord)
        }),
        Property::always(OUTCOME, |_: &Protocol, world: &World| {
            (0..world.journals.len() as u8).all(|migration| ends_rightly(world, migration))
        }),
    ]
}

fn ends_rightly(world: &World, migration: u8) -> bool {
    let journal = &world.journals[usize::from(migration)];
    let closed = (0..world.streams.len() as Slot).any(|slot| {
        let close = world.stream(slot).close();
        close.is_some_and(|close| close.migration == migration)
    });
    match journal.last().map(|record| record.entry) {
        Some(Entry::Completed | Entry::RollBackRefused) => closed,
        Some(Entry::RolledBack) => !closed,
        _ => true,
    }
}
