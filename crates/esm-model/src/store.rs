//! What the storage does with a request: every write is conditional, and takes effect at once or
//! not at all.
//!
//! Represents the providers: put-if-absent of numbered cells and records, and `discard`. Here the
//! specification follows what takes effect, whatever its sender learns.

use std::sync::Arc;

use crate::protocol::Protocol;
use crate::twin::Twin;
use crate::world::{Cell, Flaw, Request, Slot, World};

impl Protocol {
    /// Applies a request; returns whether it took effect.
    pub(crate) fn apply(&self, world: &mut World, request: &Request) -> bool {
        match request {
            Request::Put {
                stream,
                seq,
                cell,
                knows,
            } => self.put(world, *stream, *seq, cell, *knows),
            Request::Document(next) => {
                let free = world.document.version + 1 == next.version;
                if free {
                    self.switched(world, next.active);
                    world.document = Arc::clone(next);
                }
                free
            }
            Request::Journal {
                migration,
                number,
                record,
            } => {
                let journal = &mut world.journals[usize::from(*migration)];
                let free = journal.len() == usize::from(*number);
                if free {
                    Arc::make_mut(journal).push(*record);
                    if self.names.journal(journal).is_none() {
                        world.flaw(Flaw::IllegalRecord);
                    }
                }
                free
            }
            Request::Discard(streams) => {
                for stream in streams {
                    world.streams[usize::from(*stream)] = None;
                }
                true
            }
        }
    }

    fn put(
        &self,
        world: &mut World,
        stream: Slot,
        seq: u8,
        cell: &Cell,
        knows: Option<u8>,
    ) -> bool {
        let seq = match cell {
            Cell::Close(_) if self.is(Twin::CloseWithoutExpectedTail) => {
                if world.stream(stream).close().is_some() {
                    return false;
                }
                world.stream(stream).next_seq()
            }
            _ => seq,
        };
        if world.stream(stream).cell(seq).is_some() {
            return false;
        }
        world.stream_mut(stream).put(seq, cell.clone());
        match cell {
            Cell::Data(data) if data.cursor.is_none() => {
                if knows.is_some_and(|knows| knows != world.spec.changes) {
                    world.flaw(Flaw::StaleAppend);
                }
                Arc::make_mut(&mut world.spec).appended(&data.events);
            }
            Cell::Close(close) if world.document.active != close.target => {
                let kind = self.kind(close.migration);
                Arc::make_mut(&mut world.spec).cut_over(&self.scope, kind);
            }
            _ => {}
        }
        true
    }

    /// A document that names another stream although the one before is open: a cutover of its own.
    fn switched(&self, world: &mut World, to: Slot) {
        let from = world.document.active;
        if from == to || world.stream(from).close().is_some() {
            return;
        }
        if let Some(origin) = world.stream(to).origin() {
            let kind = self.kind(origin.migration);
            Arc::make_mut(&mut world.spec).cut_over(&self.scope, kind);
        }
    }

    /// Deletes a closed stream that the document has left behind (R22): its events become
    /// tombstones, its numbers and its control cells stay.
    pub(crate) fn delete(&self, world: &mut World, stream: Slot) {
        world.stream_mut(stream).map(|cell| match cell {
            Cell::Data(_) if self.is(Twin::CellsUsedAgain) => None,
            Cell::Data(data) => Some(Cell::Tombstone {
                events: data.events.len() as u8,
                append: cell
                    .append()
                    .filter(|_| !self.is(Twin::TombstoneWithoutCommit)),
            }),
            Cell::Close(_) if self.is(Twin::CloseRemoved) => None,
            other => Some(other.clone()),
        });
    }
}
