//! The fakes behave like tiny models of themselves, under any sequence of calls.

use std::sync::Arc;
use std::time::Duration;

use esm_core::clock::Clock as _;
use esm_core::clock::Environment;
use esm_core::event::Revision;
use esm_core::id::{HolderId, LockName, MigrationId, StoreId, StreamId};
use esm_core::store::{
    Append, CellKind, Close, EventStore as _, Fence, LockAttempt, LockGrant, LockProvider as _,
    LockRequest, PageLimit, ReadFrom, RecordKey, Records as _, Tail,
};
use esm_core::{ErrorKind, Result};
use esm_testkit::memory::{MemoryEventStore, MemoryLocks, MemoryRecords};
use esm_testkit::{SeededRandomness, SteppedClock, event};
use futures::FutureExt as _;
use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

const STREAMS: usize = 3;

fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("a fake never waits")
}

/// What a cell is to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data(u64),
    Fence,
    Close,
}

/// A call; `behind` says how many cells ago its expected tail was observed.
#[derive(Debug, Clone)]
enum Call {
    Write {
        stream: usize,
        behind: usize,
        kind: Kind,
    },
    RepeatTheLastWrite {
        stream: usize,
    },
    Discard {
        stream: usize,
    },
    Put {
        number: u64,
        body: u8,
    },
}

#[derive(Debug, Clone, Default)]
struct Model {
    streams: [Vec<Kind>; STREAMS],
    versions: Vec<u8>,
}

/// What a call is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Ok,
    Conflict,
    Closed,
}

impl Model {
    fn answer(&self, call: &Call) -> Answer {
        match call {
            Call::Write { stream, behind, .. } => {
                let cells = &self.streams[*stream];
                match (cells.last(), behind.min(&cells.len())) {
                    (Some(Kind::Close), _) => Answer::Closed,
                    (_, 0) => Answer::Ok,
                    _ => Answer::Conflict,
                }
            }
            Call::RepeatTheLastWrite { .. } | Call::Discard { .. } => Answer::Ok,
            Call::Put { number, .. } if *number == self.versions.len() as u64 => Answer::Ok,
            Call::Put { .. } => Answer::Conflict,
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Call;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Call> {
        let kind = prop_oneof![
            5 => (1_u64..4).prop_map(Kind::Data),
            2 => Just(Kind::Fence),
            1 => Just(Kind::Close),
        ];
        let versions = state.versions.len() as u64;
        prop_oneof![
            8 => (0..STREAMS, select(vec![0, 0, 0, 1, 2]), kind)
                .prop_map(|(stream, behind, kind)| Call::Write { stream, behind, kind }),
            2 => (0..STREAMS).prop_map(|stream| Call::RepeatTheLastWrite { stream }),
            1 => (0..STREAMS).prop_map(|stream| Call::Discard { stream }),
            3 => (versions.saturating_sub(1)..versions + 2, any::<u8>())
                .prop_map(|(number, body)| Call::Put { number, body }),
        ]
        .boxed()
    }

    fn apply(mut state: Self, call: &Call) -> Self {
        if state.answer(call) == Answer::Ok {
            match call {
                Call::Write { stream, kind, .. } => state.streams[*stream].push(*kind),
                Call::RepeatTheLastWrite { .. } => {}
                Call::Discard { stream } => state.streams[*stream].clear(),
                Call::Put { body, .. } => state.versions.push(*body),
            }
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
struct Fakes {
    environment: Environment,
    event_store: MemoryEventStore,
    records: MemoryRecords,
    /// The tails of each stream after each of its cells, the empty one first.
    tails: [Vec<Tail>; STREAMS],
    last: [Option<Write>; STREAMS],
    next_event: u64,
}

fn stream_id(stream: usize) -> StreamId {
    StreamId::new(format!("stream-{stream}")).expect("a valid id")
}

impl Fakes {
    fn write(&mut self, stream: usize, write: &Write) -> Result<Tail> {
        let (id, store, commit) = (stream_id(stream), &self.event_store, write.append.commit);
        let migration = MigrationId::from_uuid(*commit.as_uuid());
        at_once(async {
            match write.kind {
                Kind::Data(_) => {
                    store
                        .append(&id, &write.expected, write.append.clone())
                        .await
                }
                Kind::Fence => {
                    let fence = Fence {
                        target: id.clone(),
                        migration,
                    };
                    store.fence(&id, &write.expected, commit, fence).await
                }
                Kind::Close => {
                    let close = Close {
                        target: None,
                        events: write.expected.next_revision(),
                        target_events: Revision(0),
                        migration,
                        continues: true,
                    };
                    store.close(&id, &write.expected, commit, close).await
                }
            }
        })
    }

    fn new_write(&mut self, stream: usize, behind: usize, kind: Kind) -> Write {
        let tails = &self.tails[stream];
        let expected = tails[tails.len() - 1 - behind.min(tails.len() - 1)].clone();
        let count = match kind {
            Kind::Data(count) => count,
            Kind::Fence | Kind::Close => 0,
        };
        let events = (0..count)
            .map(|_| {
                self.next_event += 1;
                event(format!("e{}", self.next_event), "T").into()
            })
            .collect();
        let append = Append::events(self.environment.commit_id(), events);
        Write {
            expected,
            append,
            kind,
        }
    }
}

fn answer<T>(result: &Result<T>) -> Answer {
    match result {
        Ok(_) => Answer::Ok,
        Err(error) => match error.kind() {
            ErrorKind::Conflict { .. } => Answer::Conflict,
            ErrorKind::Closed(_) => Answer::Closed,
            kind => panic!("an answer that the model does not know: {kind:?}"),
        },
    }
}

impl StateMachineTest for Fakes {
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
            event_store: MemoryEventStore::new(store),
            records: MemoryRecords::new(),
            tails: [(); STREAMS].map(|()| vec![Tail::default()]),
            last: [const { None }; STREAMS],
            next_event: 0,
        }
    }

    fn apply(mut fakes: Self, after: &Model, call: Call) -> Self {
        // the model is handed over as it is after the call; an Ok shows in its length
        match call {
            Call::Write {
                stream,
                behind,
                kind,
            } => {
                let before = fakes.tails[stream].len() - 1;
                let write = fakes.new_write(stream, behind, kind);
                let result = fakes.write(stream, &write);
                let wanted = match after.streams[stream].len() > before {
                    true => Answer::Ok,
                    false if after.streams[stream].last() == Some(&Kind::Close) => Answer::Closed,
                    false => Answer::Conflict,
                };
                assert_eq!(answer(&result), wanted);
                if let Ok(tail) = result {
                    fakes.tails[stream].push(tail);
                    fakes.last[stream] = Some(write);
                }
            }
            Call::RepeatTheLastWrite { stream } => {
                if let Some(write) = fakes.last[stream].clone() {
                    let tail = fakes.write(stream, &write).expect("it succeeded before");
                    assert_eq!(Some(&tail), fakes.tails[stream].last());
                }
            }
            Call::Discard { stream } => {
                at_once(fakes.event_store.discard(&stream_id(stream))).expect("it is offered");
                fakes.tails[stream].truncate(1);
                fakes.last[stream] = None;
            }
            Call::Put { number, body } => {
                let result = at_once(fakes.records.put(
                    &RecordKey::Index,
                    number,
                    vec![body].into(),
                ));
                let put = after.versions.len() as u64 == number + 1 && result.is_ok();
                let refused = answer(&result) == Answer::Conflict;
                assert!(put || refused, "{result:?}");
            }
        }
        fakes
    }

    fn check_invariants(fakes: &Self, model: &Model) {
        for (stream, cells) in model.streams.iter().enumerate() {
            let tail = at_once(fakes.event_store.tail(&stream_id(stream)));
            assert_eq!(
                Some(&tail.expect("it can be read")),
                fakes.tails[stream].last()
            );
            let limit = PageLimit {
                cells: 1000,
                bytes: u64::MAX,
            };
            let (id, from) = (stream_id(stream), ReadFrom::Seq(0));
            let page = at_once(fakes.event_store.read(&id, from, limit)).expect("it can be read");
            let found = page.cells.iter().map(|cell| match cell.header.kind {
                CellKind::Data { .. } => Kind::Data(cell.events.len() as u64),
                CellKind::Fence(_) => Kind::Fence,
                CellKind::Close(_) => Kind::Close,
                CellKind::Tombstone => panic!("nobody buries anything"),
            });
            assert_eq!(&found.collect::<Vec<_>>(), cells);
        }
        let newest = at_once(fakes.records.latest(&RecordKey::Index)).expect("it can be read");
        let newest = newest.map(|record| (record.number + 1, record.body[0]));
        let wanted = model
            .versions
            .last()
            .map(|body| (model.versions.len() as u64, *body));
        assert_eq!(newest, wanted);
    }
}

const LEASE: u64 = 60;

/// A call on the one lock; callers are numbered.
#[derive(Debug, Clone)]
enum LockCall {
    Acquire(usize),
    Renew(usize),
    Release(usize),
    Break,
    Pass(u64),
}

#[derive(Debug, Clone, Default)]
struct LockModel {
    now: u64,
    /// Who holds it, and until when.
    held: Option<(usize, u64)>,
    acquisitions: u64,
    /// The newest acquisition of each caller.
    tokens: [u64; 3],
}

impl LockModel {
    fn is_held(&self) -> bool {
        self.held.is_some_and(|(_, until)| until > self.now)
    }
}

impl ReferenceStateMachine for LockModel {
    type State = Self;
    type Transition = LockCall;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<LockCall> {
        prop_oneof![
            4 => (0_usize..3).prop_map(LockCall::Acquire),
            3 => (0_usize..3).prop_map(LockCall::Renew),
            2 => (0_usize..3).prop_map(LockCall::Release),
            1 => Just(LockCall::Break),
            3 => select(vec![1, 30, 59, 60, 61]).prop_map(LockCall::Pass),
        ]
        .boxed()
    }

    fn apply(mut state: Self, call: &LockCall) -> Self {
        let newest = |state: &Self, who: usize| {
            state.held.is_some_and(|(holder, _)| holder == who)
                && state.tokens[who] == state.acquisitions
        };
        match call {
            LockCall::Acquire(who) if !state.is_held() => {
                state.acquisitions += 1;
                state.tokens[*who] = state.acquisitions;
                state.held = Some((*who, state.now + LEASE));
            }
            // an expired lock that nobody took can be renewed
            LockCall::Renew(who) if newest(&state, *who) => {
                state.held = Some((*who, state.now + LEASE));
            }
            LockCall::Release(who) if newest(&state, *who) => state.held = None,
            LockCall::Break if state.is_held() => state.held = None,
            LockCall::Pass(seconds) => state.now += seconds,
            _ => {}
        }
        state
    }
}

#[derive(Debug)]
struct Lock {
    clock: SteppedClock,
    locks: MemoryLocks,
    grants: [Option<LockGrant>; 3],
}

fn lock_name() -> LockName {
    LockName::new("order/1").expect("a valid name")
}

impl StateMachineTest for Lock {
    type SystemUnderTest = Self;
    type Reference = LockModel;

    fn init_test(_: &LockModel) -> Self {
        let clock = SteppedClock::new();
        let locks = MemoryLocks::new(Arc::new(clock.clone()));
        Self {
            clock,
            locks,
            grants: [None, None, None],
        }
    }

    fn apply(mut lock: Self, after: &LockModel, call: LockCall) -> Self {
        match call {
            LockCall::Acquire(who) => {
                let request = LockRequest {
                    holder: HolderId::new(format!("caller {who}")).expect("a valid holder"),
                    lease: Duration::from_secs(LEASE),
                    migration: None,
                    at: lock.clock.now(),
                };
                let attempt = at_once(lock.locks.try_acquire(&lock_name(), &request));
                if let LockAttempt::Acquired(grant) = attempt.expect("it can be asked for") {
                    assert_eq!(after.held, Some((who, after.now + LEASE)));
                    assert_eq!(grant.token.0, after.acquisitions);
                    lock.grants[who] = Some(grant);
                } else {
                    assert!(after.is_held());
                }
            }
            LockCall::Renew(who) => {
                if let Some(grant) = &lock.grants[who] {
                    let renewed = at_once(lock.locks.renew(grant)).is_ok();
                    let mine = after.held == Some((who, after.now + LEASE))
                        && after.tokens[who] == after.acquisitions;
                    assert_eq!(renewed, mine);
                }
            }
            LockCall::Release(who) => {
                if let Some(grant) = &lock.grants[who] {
                    at_once(lock.locks.release(grant)).expect("it can be released");
                }
            }
            LockCall::Break => {
                let newest = at_once(lock.locks.inspect(&lock_name())).expect("it can be seen");
                if let Some(info) = newest {
                    let broken = at_once(lock.locks.break_lock(&lock_name(), info.token)).is_ok();
                    assert_eq!(broken, info.held);
                }
            }
            LockCall::Pass(seconds) => lock.clock.advance(Duration::from_secs(seconds)),
        }
        lock
    }

    fn check_invariants(lock: &Self, model: &LockModel) {
        let newest = at_once(lock.locks.inspect(&lock_name())).expect("it can be seen");
        let held = newest.as_ref().is_some_and(|info| info.held);
        assert_eq!(held, model.is_held());
        assert_eq!(newest.map_or(0, |info| info.token.0), model.acquisitions);
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn event_store_and_records_are_their_model(sequential 1..60 => Fakes);

    #[test]
    fn locks_are_their_model(sequential 1..60 => Lock);
}
