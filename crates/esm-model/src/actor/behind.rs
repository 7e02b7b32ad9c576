//! Where an append goes that has met a Close.
//!
//! Represents `router::append::behind` and `object::chain::step`: what is read at once may be read in
//! any order.

use crate::protocol::Protocol;
use crate::twin::Twin;
use crate::world::{Behind, Cell, Close, End, Part, Route, Sending, World, Writer, WriterStep};

impl Protocol {
    /// What a refused append has found: a Close, whose target is read, or anything else, for which
    /// the object is loaded.
    pub(super) fn read_back(&self, world: &World, sending: Sending) -> WriterStep {
        match world.stream(sending.stream).close() {
            Some(close) => WriterStep::Behind(Behind {
                sending,
                close,
                first: None,
                end: None,
                follows: None,
            }),
            None => WriterStep::Find(sending),
        }
    }

    /// Reads one of the parts, and decides once all were read.
    pub(crate) fn ask(&self, world: &World, writer: &mut Writer, part: Part) {
        let WriterStep::Behind(behind) = &mut writer.step else {
            return;
        };
        let (close, stream) = (behind.close, self.reached(behind.close.target));
        match part {
            Part::First => {
                let first = world.stream(stream).cell(0);
                behind.first = Some(names(first, behind.sending.stream, close));
            }
            Part::End => behind.end = Some(self.end(world, close)),
            Part::Document => behind.follows = Some(world.document.active == close.target),
        }
        if let (Some(first), Some(end), Some(follows)) = (behind.first, behind.end, behind.follows)
        {
            let first = first || self.is(Twin::FirstCellUnseen);
            let closed = end.closed && !self.is(Twin::CloseBehindHintUnseen);
            let route = Route {
                stream,
                next_seq: end.next_seq,
                events: end.events,
                knows: end.knows,
            };
            let sending = behind.sending.clone();
            let is_route = first && !closed && follows && end.events >= close.target_events;
            let is_route = is_route && self.is_expected(&sending, close, route.events);
            writer.step = if is_route {
                writer.route = Some(route);
                WriterStep::Sent(sending.along(route))
            } else {
                WriterStep::Find(sending)
            };
        }
    }

    /// `EventStore::tail`, where the search begins at the cell that the Close names. If that is absent,
    /// it begins anew: so the end does not depend on it.
    fn end(&self, world: &World, close: Close) -> End {
        let stream = world.stream(self.reached(close.target));
        let knows = world.spec.changes;
        if self.is(Twin::HintTakenForEnd) {
            return End {
                next_seq: close.target_last + 1,
                events: close.target_events,
                closed: false,
                knows,
            };
        }
        End {
            next_seq: stream.next_seq(),
            events: stream.next_revision(),
            closed: stream.close().is_some(),
            knows,
        }
    }

    /// R8: whether what an append expects is the end of the stream that the Close names.
    fn is_expected(&self, sending: &Sending, close: Close, end: u8) -> bool {
        let Some((stream, events, _)) = sending.expected else {
            return true;
        };
        let closes = [(sending.stream, close)];
        stream == sending.stream && self.names.carry(&closes, close.target, events) == Some(end)
    }
}

/// `chain::ensure_continues` (R13): whether a first cell names the closed stream. One that was deleted
/// since names nothing; then the stream is closed too.
fn names(first: Option<&Cell>, closed: u8, close: Close) -> bool {
    match first {
        Some(Cell::Data(data)) => data
            .origin
            .is_some_and(|origin| origin.source == closed && origin.migration == close.migration),
        Some(Cell::Tombstone { .. }) => true,
        _ => false,
    }
}
