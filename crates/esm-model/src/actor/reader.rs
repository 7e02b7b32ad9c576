//! Somebody who reads from the target before the pivot (R15).
//!
//! Represents `router::fold::dual_read`.

use crate::protocol::Protocol;
use crate::twin::Twin;
use crate::world::{Cell, Event, Flaw, Reader, Slot, World};

impl Protocol {
    /// Reads the end h of the stream that the document names, and of those behind it.
    pub(crate) fn read_head(&self, world: &mut World) {
        let (_, stream) = world.chain(world.document.active);
        world.reader = Reader::Head {
            stream,
            events: world.stream(stream).next_revision(),
        };
    }

    /// Reads a target's events with source revisions below h, and answers them with the position
    /// (S, h); where the target does not cover h, the source alone.
    pub(crate) fn read_target(&self, world: &mut World, target: Slot) {
        let Reader::Head { stream, events } = world.reader else {
            return;
        };
        let read = self.dual_read(world, target, events);
        let source: Vec<_> = world.stream(stream).events().take(events.into()).collect();
        if read
            .as_ref()
            .is_some_and(|read| *read != self.transformed(&source))
        {
            world.flaw(Flaw::WrongRead);
        }
        world.reader = Reader::Read(read.is_some());
    }

    fn dual_read(&self, world: &World, target: Slot, head: u8) -> Option<Vec<Event>> {
        let mut read = Vec::new();
        let mut covers = head == 0;
        for cell in world.stream(target).cells() {
            let Cell::Data(data) = cell else { continue };
            let below = data.cursor.is_some_and(|cursor| cursor <= head);
            if below || self.is(Twin::DualReadBeyondHead) {
                read.extend_from_slice(&data.events);
            }
            covers |= data.cursor.is_none_or(|cursor| cursor >= head);
        }
        covers.then_some(read)
    }
}
