//! Streams: lists of cells.

use std::ops::Range;
use std::sync::Arc;

use esm_core::clock::Environment;
use esm_core::event::Revision;
use esm_core::id::{MigrationId, StoreId, StreamId};
use esm_core::store::{
    Append, CellEvent, CellKind, Close, EventStore as _, Fence, PageLimit, ReadFrom, Tail,
};
use esm_core::{ErrorKind, Result};
use esm_testkit::memory::MemoryEventStore;
use esm_testkit::{SeededRandomness, SteppedClock, event};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use super::models::at_once;

const STREAMS: usize = 3;

/// What a cell is to the model; events are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Data(Vec<u16>),
    Fence,
    Close,
}

impl Kind {
    fn events(&self) -> Vec<CellEvent> {
        let numbers = match self {
            Self::Data(numbers) => numbers.as_slice(),
            Self::Fence | Self::Close => &[],
        };
        let event = |number| event(format!("e{number:05}"), "T").into();
        numbers.iter().map(event).collect()
    }

    fn count(&self) -> u64 {
        self.events().len() as u64
    }

    fn bytes(&self) -> u64 {
        let events = self.events();
        events.iter().map(|e| e.event.approximate_size()).sum()
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// At the tail of so many cells ago.
    Write {
        stream: usize,
        behind: usize,
        kind: Kind,
    },
    /// The very same write, of so many writes ago.
    Repeat {
        stream: usize,
        ago: usize,
    },
    Discard {
        stream: usize,
    },
    Read {
        stream: usize,
        from: ReadFrom,
        limit: PageLimit,
    },
}

/// What a write is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Answer {
    #[default]
    Ok,
    Conflict(Option<u64>),
    Closed,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    streams: [Vec<Kind>; STREAMS],
    answer: Answer,
}

impl Model {
    fn answer(&self, stream: usize, behind: usize) -> Answer {
        let cells = &self.streams[stream];
        match (cells.last(), behind.min(cells.len())) {
            (Some(Kind::Close), _) => Answer::Closed,
            (_, 0) => Answer::Ok,
            _ => Answer::Conflict(Some(cells.iter().map(Kind::count).sum())),
        }
    }

    /// The cell to begin reading at: the first that ends behind the event, or where there is none,
    /// the first that begins there.
    fn begin(cells: &[Kind], from: ReadFrom) -> usize {
        let revision = match from {
            ReadFrom::Seq(seq) => return cells.len().min(usize::try_from(seq).unwrap_or(0)),
            ReadFrom::Revision(revision) => revision.0,
        };
        let before = |cell: usize| cells[..cell].iter().map(Kind::count).sum::<u64>();
        let all = 0..cells.len();
        let holds = all.clone().find(|cell| before(cell + 1) > revision);
        let begins = || all.clone().find(|cell| before(*cell) == revision);
        holds.or_else(begins).unwrap_or(cells.len())
    }

    /// The cells of a page.
    fn page(cells: &[Kind], from: ReadFrom, limit: PageLimit) -> Range<usize> {
        let begin = Self::begin(cells, from);
        let mut end = (begin + 1).min(cells.len());
        while end < cells.len() && end - begin < limit.cells {
            let bytes: u64 = cells[begin..=end].iter().map(Kind::bytes).sum();
            if bytes > limit.bytes {
                break;
            }
            end += 1;
        }
        begin..end
    }
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        5 => vec(any::<u16>(), 1..4).prop_map(Kind::Data),
        2 => Just(Kind::Fence),
        1 => Just(Kind::Close),
    ]
}

fn reads() -> impl Strategy<Value = (ReadFrom, PageLimit)> {
    let from = prop_oneof![
        (0_u64..12).prop_map(ReadFrom::Seq),
        (0_u64..20).prop_map(|revision| ReadFrom::Revision(Revision(revision))),
    ];
    let size = Kind::Data(vec![1]).bytes();
    // all events are of one size: room for some, a byte more or less
    let some = (0_u64..6, -1_i8..=1)
        .prop_map(move |(events, off)| (events * size).saturating_add_signed(off.into()));
    let bytes = prop_oneof![Just(u64::MAX), some];
    let limit = (select(vec![0, 1, 2, 3, 1000]), bytes)
        .prop_map(|(cells, bytes)| PageLimit { cells, bytes });
    (from, limit)
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Call;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Call> {
        prop_oneof![
            8 => (0..STREAMS, select(vec![0, 0, 0, 1, 2]), kinds())
                .prop_map(|(stream, behind, kind)| Call::Write { stream, behind, kind }),
            3 => (0..STREAMS, 0_usize..4).prop_map(|(stream, ago)| Call::Repeat { stream, ago }),
            1 => (0..STREAMS).prop_map(|stream| Call::Discard { stream }),
            6 => (0..STREAMS, reads())
                .prop_map(|(stream, (from, limit))| Call::Read { stream, from, limit }),
        ]
        .boxed()
    }

    fn apply(mut state: Self, call: &Call) -> Self {
        match call {
            Call::Write {
                stream,
                behind,
                kind,
            } => {
                state.answer = state.answer(*stream, *behind);
                if state.answer == Answer::Ok {
                    state.streams[*stream].push(kind.clone());
                }
            }
            Call::Discard { stream } => state.streams[*stream].clear(),
            Call::Repeat { .. } | Call::Read { .. } => {}
        }
        state
    }
}

/// A write as it was made, to be made again.
#[derive(Debug, Clone)]
struct Write {
    expected: Tail,
    append: Append,
    kind: Kind,
}

#[derive(Debug)]
pub(crate) struct Streams {
    environment: Environment,
    store: MemoryEventStore,
    /// The tails of each stream after each of its cells, the empty one first.
    tails: [Vec<Tail>; STREAMS],
    /// What wrote the cells.
    writes: [Vec<Write>; STREAMS],
}

fn stream_id(stream: usize) -> StreamId {
    StreamId::new(format!("stream-{stream}")).expect("a valid id")
}

fn answer(result: &Result<Tail>) -> Answer {
    match result {
        Ok(_) => Answer::Ok,
        Err(error) => match error.kind() {
            ErrorKind::Conflict { actual } => Answer::Conflict(*actual),
            ErrorKind::Closed(_) => Answer::Closed,
            kind => panic!("an answer that the model does not know: {kind:?}"),
        },
    }
}

impl Streams {
    fn write(&self, stream: usize, write: &Write) -> Result<Tail> {
        let (id, commit) = (stream_id(stream), write.append.commit);
        let migration = MigrationId::from_uuid(*commit.as_uuid());
        let (store, expected) = (&self.store, &write.expected);
        match write.kind {
            Kind::Data(_) => at_once(store.append(&id, expected, write.append.clone())),
            Kind::Fence => {
                let target = id.clone();
                at_once(store.fence(&id, expected, commit, Fence { target, migration }))
            }
            Kind::Close => {
                let close = Close {
                    target: None,
                    events: expected.next_revision(),
                    target_events: Revision(0),
                    migration,
                    continues: true,
                    target_last: None,
                };
                at_once(store.close(&id, expected, commit, close))
            }
        }
    }

    fn new_write(&self, stream: usize, behind: usize, kind: Kind) -> Write {
        let tails = &self.tails[stream];
        let last = tails.len() - 1;
        let commit = self.environment.commit_id();
        Write {
            expected: tails[last - behind.min(last)].clone(),
            append: Append::events(commit, kind.events()),
            kind,
        }
    }

    /// Makes a write again, which has the answer that it had.
    fn repeat(&self, stream: usize, ago: usize) {
        let cell = self.writes[stream].len().checked_sub(ago + 1);
        if let Some(cell) = cell {
            let tail = self.write(stream, &self.writes[stream][cell]);
            let tail = tail.expect("it succeeded before");
            assert_eq!(tail, self.tails[stream][cell + 1]);
        }
    }

    fn check_read(&self, stream: usize, cells: &[Kind], from: ReadFrom, limit: PageLimit) {
        let page = at_once(self.store.read(&stream_id(stream), from, limit));
        let (page, wanted) = (
            page.expect("it can be read"),
            Model::page(cells, from, limit),
        );
        assert_eq!(page.at_end, wanted.end == cells.len());
        assert_eq!(page.cells.len(), wanted.len());
        for (cell, index) in page.cells.iter().zip(wanted) {
            assert_eq!(
                Some(&cell.header),
                self.tails[stream][index + 1].last.as_ref()
            );
            assert_eq!(cell.events, cells[index].events());
            let matches = match &cell.header.kind {
                CellKind::Data { .. } => matches!(cells[index], Kind::Data(_)),
                CellKind::Fence(_) => cells[index] == Kind::Fence,
                CellKind::Close(_) => cells[index] == Kind::Close,
                CellKind::Tombstone => false,
            };
            assert!(matches, "found {cell:?}, wanted {:?}", cells[index]);
        }
    }
}

impl StateMachineTest for Streams {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        let environment = Environment {
            clock: Arc::new(SteppedClock::new()),
            randomness: Arc::new(SeededRandomness::new(1)),
        };
        let store = StoreId::from_uuid(environment.uuid_v4());
        Self {
            environment,
            store: MemoryEventStore::new(store),
            tails: [(); STREAMS].map(|()| vec![Tail::default()]),
            writes: [const { Vec::new() }; STREAMS],
        }
    }

    fn apply(mut streams: Self, after: &Model, call: Call) -> Self {
        match call {
            Call::Write {
                stream,
                behind,
                kind,
            } => {
                let write = streams.new_write(stream, behind, kind);
                let result = streams.write(stream, &write);
                assert_eq!(answer(&result), after.answer);
                if let Ok(tail) = result {
                    streams.tails[stream].push(tail);
                    streams.writes[stream].push(write);
                }
            }
            Call::Repeat { stream, ago } => streams.repeat(stream, ago),
            Call::Discard { stream } => {
                at_once(streams.store.discard(&stream_id(stream))).expect("it is offered");
                streams.tails[stream].truncate(1);
                streams.writes[stream].clear();
            }
            Call::Read {
                stream,
                from,
                limit,
            } => streams.check_read(stream, &after.streams[stream], from, limit),
        }
        streams
    }

    fn check_invariants(streams: &Self, model: &Model) {
        for (stream, cells) in model.streams.iter().enumerate() {
            let tail = at_once(streams.store.tail(&stream_id(stream)));
            let tail = tail.expect("it can be read");
            assert_eq!(Some(&tail), streams.tails[stream].last());
            assert_eq!(tail.next_seq(), cells.len() as u64);
            let all = PageLimit {
                cells: 1000,
                bytes: u64::MAX,
            };
            streams.check_read(stream, cells, ReadFrom::Seq(0), all);
        }
        let written = model.streams.iter().filter(|cells| !cells.is_empty());
        assert_eq!(streams.store.stream_ids().len(), written.count());
    }
}
