//! Applications that append.
//!
//! Represents `appending`, `send` and `mirror` of `router::append`: I/O around `ChainEnd::carry` and
//! `ObjectDocument::follow`.

use crate::protocol::Protocol;
use crate::scope::Expect;
use crate::twin::Twin;
use crate::world::{
    Answer, Cell, Data, Event, Origin, Request, Route, Sending, Slot, World, Writer, WriterStep,
    step,
};

impl Protocol {
    /// The number of a writer's next append, and what it expects; nothing when it is through.
    pub(crate) fn next_append(&self, world: &World, at: usize) -> Option<(u8, Expect)> {
        let before: usize = self.scope.writers[..at].iter().map(Vec::len).sum();
        let appends = world.writers[at].appends;
        let expect = self.scope.writers[at].get(usize::from(appends))?;
        Some((self.scope.initial + before as u8 + appends, *expect))
    }

    /// `ObjectClient::load`: what the writer remembers is up to date again. Nothing where the stream that
    /// is reached is another one (R13): then the caller gets an error.
    pub(crate) fn load(&self, world: &mut World) -> Option<Route> {
        let (_, end) = world.chain(world.document.active);
        if self.reached(end) != end {
            return None;
        }
        self.help(world);
        Some(route_to(world, world.document.active))
    }

    /// The stream that a writer reaches by this one's name.
    pub(super) fn reached(&self, stream: Slot) -> Slot {
        if self.scope.decoy && stream != 0 {
            self.names.streams() as Slot
        } else {
            stream
        }
    }

    /// `ObjectClient::append`: sends the first try to where the writer remembers.
    pub(crate) fn append(&self, world: &World, at: usize) -> Option<WriterStep> {
        let (root, expect) = self.next_append(world, at)?;
        let route = world.writers[at].route?;
        let sending = Sending {
            root,
            stream: route.stream,
            seq: route.next_seq,
            revision: route.events,
            expected: match expect {
                Expect::Any => None,
                Expect::Known => Some((route.stream, route.events, route.knows)),
            },
            unknown: false,
        };
        Some(match self.target_first(world, &sending) {
            Some(request) => WriterStep::TargetFirst(sending, request),
            None => WriterStep::Sent(sending),
        })
    }

    /// The writer's next read, and what follows from it.
    pub(crate) fn writer_reads(&self, world: &mut World, writer: &mut Writer) {
        writer.step = match std::mem::replace(&mut writer.step, WriterStep::Idle) {
            WriterStep::Settle(sending) => self.settle(world, writer, sending),
            WriterStep::ReadBack(sending) => self.read_back(world, sending),
            WriterStep::Find(sending) => self.find(world, writer, sending),
            step => step,
        };
    }

    /// What follows from the answer to a write.
    pub(crate) fn writer_answered(&self, world: &World, writer: &mut Writer, answer: Answer) {
        writer.step = match (
            std::mem::replace(&mut writer.step, WriterStep::Idle),
            answer,
        ) {
            (WriterStep::Sent(sending), Answer::Done) => self.acknowledged(world, writer, &sending),
            (WriterStep::Sent(sending), Answer::Refused) if !sending.unknown => {
                WriterStep::ReadBack(sending)
            }
            (WriterStep::Sent(sending), Answer::Refused) if self.is(Twin::OwnPutReadAsConflict) => {
                WriterStep::Find(sending)
            }
            (WriterStep::Sent(mut sending), _) => {
                sending.unknown = true;
                WriterStep::Settle(sending)
            }
            (WriterStep::TargetFirst(sending, _), _) => WriterStep::Sent(sending),
            // an error of the mirror is ignored: the copier repairs
            (_, _) => WriterStep::Idle,
        };
    }

    /// `EventStoreExt::settle` (R10): reads the cell back before anything else is tried.
    fn settle(&self, world: &World, writer: &mut Writer, sending: Sending) -> WriterStep {
        let stream = world.stream(sending.stream);
        if self.is(Twin::RetryOverCloseUnsettled) && stream.close().is_some() {
            return WriterStep::Find(sending);
        }
        match stream.cell(sending.seq) {
            None => WriterStep::Sent(sending),
            Some(cell) if cell.append() == Some(sending.root) => {
                self.acknowledged(world, writer, &sending)
            }
            Some(_) => WriterStep::Find(sending),
        }
    }

    fn acknowledged(&self, world: &World, writer: &mut Writer, sending: &Sending) -> WriterStep {
        writer.appends += 1;
        writer.route = Some(Route {
            stream: sending.stream,
            next_seq: sending.seq + 1,
            events: sending.revision + 1,
            knows: world.spec.changes,
        });
        if self.scope.mirror {
            WriterStep::MayMirror {
                stream: sending.stream,
                revision: sending.revision,
                root: sending.root,
            }
        } else {
            WriterStep::Idle
        }
    }

    /// `ObjectClient::find_route`: loads where the append goes now, and whether what it expects
    /// holds there (R8, R9).
    fn find(&self, world: &mut World, writer: &mut Writer, sending: Sending) -> WriterStep {
        let Some(route) = self.load(world) else {
            writer.appends += 1;
            return WriterStep::Idle;
        };
        writer.route = Some(route);
        let holds = match sending.expected {
            None => true,
            Some((stream, events, _)) => self.carried(world, stream, events) == Some(route.events),
        };
        if !holds {
            // a conflict: the caller decides anew
            writer.appends += 1;
            return WriterStep::Idle;
        }
        WriterStep::Sent(sending.along(route))
    }

    fn carried(&self, world: &World, stream: Slot, events: u8) -> Option<u8> {
        if self.is(Twin::BareRevisionOverClose) {
            return Some(events);
        }
        let (mut closes, end) = world.chain(stream);
        if self.is(Twin::PositionOverRestore) {
            for (_, close) in &mut closes {
                close.continues = true;
            }
        }
        self.names.carry(&closes, end, events)
    }

    /// R16: the mirror of an append, if the target is complete for exactly what came before it.
    pub(crate) fn mirror(&self, world: &World, step: &WriterStep, target: Slot) -> Option<Request> {
        let WriterStep::MayMirror {
            stream,
            revision,
            root,
        } = step
        else {
            return None;
        };
        let copy = world.stream(target);
        let is_target_of = |origin: &Origin| origin.source == *stream;
        copy.origin().filter(is_target_of)?;
        if self.scope.folds() && !self.is(Twin::MirrorOfAFold) {
            return None;
        }
        let complete = if self.is(Twin::MirrorAtBareRevision) {
            copy.cursor().map(|_| copy.next_revision())
        } else {
            copy.cursor()
        };
        (complete == Some(*revision)).then(|| self.copy_of(world, *root, target, revision + 1))
    }

    /// In twins: the write to the target that comes before the one to the source.
    fn target_first(&self, world: &World, sending: &Sending) -> Option<Request> {
        if !self.is(Twin::TargetFirstCountCheck) && !self.is(Twin::TargetFirstContentCheck) {
            return None;
        }
        let is_target = |slot: &Slot| {
            let copy = world.stream(*slot);
            copy.origin().is_some_and(|o| o.source == sending.stream) && copy.cursor().is_some()
        };
        let target = (0..world.streams.len() as Slot).find(is_target)?;
        let cursor = world.stream(target).cursor()? + 1;
        Some(self.copy_of(world, sending.root, target, cursor))
    }

    fn copy_of(&self, world: &World, root: u8, target: Slot, cursor: u8) -> Request {
        Request::Put {
            stream: target,
            seq: world.stream(target).next_seq(),
            cell: Cell::Data(Data {
                events: step(&self.scope, Event::appended(root), &mut None),
                cursor: Some(cursor),
                held: None,
                flushed: false,
                origin: None,
            }),
            knows: None,
        }
    }
}

/// The write that a writer waits for.
pub(crate) fn sent(step: &WriterStep) -> Option<Request> {
    match step {
        WriterStep::Sent(sending) => Some(Request::Put {
            stream: sending.stream,
            seq: sending.seq,
            cell: cell_of(sending),
            knows: sending.expected.map(|(_, _, knows)| knows),
        }),
        WriterStep::Mirroring(request) | WriterStep::TargetFirst(_, request) => {
            Some(request.clone())
        }
        _ => None,
    }
}

fn cell_of(sending: &Sending) -> Cell {
    Cell::Data(Data {
        events: vec![Event::appended(sending.root)],
        cursor: None,
        held: None,
        flushed: false,
        origin: None,
    })
}

fn route_to(world: &World, slot: Slot) -> Route {
    let stream = world.stream(slot);
    Route {
        stream: slot,
        next_seq: stream.next_seq(),
        events: stream.next_revision(),
        knows: world.spec.changes,
    }
}
