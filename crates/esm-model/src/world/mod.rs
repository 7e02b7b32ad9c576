//! The state of the model: what is stored, what is under way, what each actor remembers.

mod actors;
mod event;
mod records;
mod request;
mod spec;
mod stream;

use std::sync::Arc;

pub use actors::{
    Behind, End, Migrator, Part, Reader, Route, Run, Sending, Sight, SourceSight, Step,
    TargetSight, Then, Writer, WriterStep,
};
pub use event::{Event, Held, Shape};
pub use records::{Document, Entry, Record};
pub use request::{Answer, Request};
pub use spec::{Spec, backup, step, transformed};
pub use stream::{Cell, Close, Data, Origin, Slot, Stream};

use crate::scope::{Budget, Scope};

/// The whole state, between two actions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// The streams by their numbers; absent ones have no cell.
    pub streams: Vec<Option<Arc<Stream>>>,
    /// The object's document.
    pub document: Arc<Document>,
    /// The journal of each migration.
    pub journals: Vec<Arc<Vec<Record>>>,
    /// The run that the lock is held for.
    pub lock: Option<u8>,
    /// The migrators. They are alike, so the order means nothing: they are kept sorted.
    pub migrators: Vec<Migrator>,
    /// The writers.
    pub writers: Vec<Writer>,
    /// The reader.
    pub reader: Reader,
    /// Requests whose senders no longer wait for them.
    pub late: Vec<Request>,
    /// What may still happen.
    pub budget: Budget,
    /// What the object must be.
    pub spec: Arc<Spec>,
    /// What went wrong in a way that leaves no other trace.
    pub flaws: Vec<Flaw>,
}

/// Something that must never happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// An append took effect that expected a position which was not the object's end any more.
    StaleAppend,
    /// A verification found a difference in an attempt that is on.
    VerificationFailed,
    /// A dual read gave other events than those before its position.
    WrongRead,
    /// A record that has no place in a journal was written.
    IllegalRecord,
    /// The name of an attempt's target was taken by something else, or cells were missing in it,
    /// while the attempt was on.
    StrangeTarget,
}

static EMPTY: std::sync::LazyLock<Stream> = std::sync::LazyLock::new(Stream::default);

impl World {
    /// The world before anything happens: a source with its first events, each in a cell of its
    /// own, an object that was loaded by every writer, and nobody at work.
    pub fn begin(scope: &Scope, streams: usize) -> Self {
        let first = (0..scope.initial).map(Event::appended);
        let source = Stream::of(first.clone().map(|event| {
            Cell::Data(Data {
                events: vec![event],
                cursor: None,
                held: None,
                flushed: false,
                origin: None,
            })
        }));
        let route = Route {
            stream: 0,
            next_seq: source.next_seq(),
            events: source.next_revision(),
            knows: 0,
        };
        let writer = Writer {
            appends: 0,
            route: Some(route),
            step: WriterStep::Idle,
        };
        let mut all = vec![None; streams];
        all[0] = Some(Arc::new(source));
        if scope.decoy {
            // what somebody else has there has nothing to do with the object
            let strange = Stream::of((0..8).map(|root| {
                Cell::Data(Data {
                    events: vec![Event::appended(root)],
                    cursor: None,
                    held: None,
                    flushed: false,
                    origin: None,
                })
            }));
            all.push(Some(Arc::new(strange)));
        }
        Self {
            streams: all,
            document: Arc::new(Document {
                version: 0,
                active: 0,
                terminated: Vec::new(),
            }),
            journals: vec![Arc::default(); scope.migrations.len()],
            lock: None,
            migrators: vec![Migrator::Idle; usize::from(scope.migrators)],
            writers: vec![writer; scope.writers.len()],
            reader: Reader::Idle,
            late: Vec::new(),
            budget: scope.budget,
            spec: Arc::new(Spec::new(first.collect())),
            flaws: Vec::new(),
        }
    }

    /// A stream.
    pub fn stream(&self, slot: Slot) -> &Stream {
        match &self.streams[usize::from(slot)] {
            Some(stream) => stream,
            None => &EMPTY,
        }
    }

    /// A stream, to be changed.
    pub fn stream_mut(&mut self, slot: Slot) -> &mut Stream {
        Arc::make_mut(self.streams[usize::from(slot)].get_or_insert_default())
    }

    /// Follows Closes from a stream to the end of its chain: the Closes on the way, each with the
    /// stream that it closed, and the last stream.
    pub fn chain(&self, from: Slot) -> (Vec<(Slot, Close)>, Slot) {
        let (mut closes, mut stream) = (Vec::new(), from);
        while let Some(close) = self.stream(stream).close() {
            if closes.len() > self.streams.len() {
                break;
            }
            closes.push((stream, close));
            stream = close.target;
        }
        (closes, stream)
    }

    /// Notes something that must never happen.
    pub fn flaw(&mut self, flaw: Flaw) {
        if !self.flaws.contains(&flaw) {
            self.flaws.push(flaw);
            self.flaws.sort_unstable();
        }
    }

    /// Whether nothing of this sort has happened.
    pub fn is_free_of(&self, flaw: Flaw) -> bool {
        !self.flaws.contains(&flaw)
    }

    /// The runs that are on.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.migrators.iter().filter_map(|migrator| match migrator {
            Migrator::Idle => None,
            Migrator::Running(run) => Some(run),
        })
    }
}
