//! Two processes that want the same place, each frozen at each of its steps.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::clock::Environment;
use esm_core::event::Revision;
use esm_core::id::{CommitId, StreamId, StreamRef};
use esm_core::store::{Append, Cell, CellKind, Close, EventStore, PageLimit, ReadFrom, Tail};
use esm_core::{ErrorKind, Result};
use tokio::task::JoinHandle;

use super::Freezer;
use crate::event;
use crate::sweep::is_full;

/// A storage whose processes can be frozen.
///
/// # Example
/// ```
/// use std::sync::Arc;
///
/// use esm_core::store::EventStore;
/// use esm_testkit::frozen::{FreezableHarness, Freezer};
/// use esm_testkit::memory::MemoryWorld;
///
/// /// In memory a write has no steps, so nothing is ever frozen.
/// struct InMemory(MemoryWorld);
///
/// #[async_trait::async_trait]
/// impl FreezableHarness for InMemory {
///     async fn open(&self, _freezer: &Freezer) -> Arc<dyn EventStore> {
///         self.0.event_store()
///     }
///
///     async fn start_days_later(&self) {}
/// }
/// ```
#[async_trait]
pub trait FreezableHarness: Send + Sync {
    /// A process on this storage, which reports the steps of its writes to the freezer.
    async fn open(&self, freezer: &Freezer) -> Arc<dyn EventStore>;

    /// Another process starts days later, by its clock and by every other that it asks, and removes
    /// what it takes for abandoned.
    async fn start_days_later(&self);
}

/// What a process does at the end of a stream.
///
/// # Example
/// ```
/// use esm_testkit::frozen::Deed;
///
/// let all = [Deed::Append, Deed::Begin, Deed::Close];
/// assert_eq!(all.len(), 3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Appends an event to a stream that has one.
    Append,
    /// Appends the first event of a stream.
    Begin,
    /// Closes a stream that has one event.
    Close,
}

/// A deed, and the step of it at which its process is frozen.
#[derive(Debug, Clone, Copy)]
struct FrozenDeed {
    deed: Deed,
    step: u64,
}

impl Deed {
    fn at(self, step: u64) -> FrozenDeed {
        FrozenDeed { deed: self, step }
    }
}

/// What was tried.
///
/// # Example
/// ```
/// use esm_testkit::frozen::PairsOutcome;
///
/// let outcome = PairsOutcome::default();
/// assert_eq!((outcome.runs, outcome.steps), (0, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PairsOutcome {
    /// Runs.
    pub runs: u64,
    /// Steps at which the first process was stopped.
    pub steps: u64,
}

/// How often there is a clean-up, and who continues first.
#[derive(Debug, Clone, Copy)]
struct Order {
    /// Cleans up once more after the second process has stopped, too.
    twice: bool,
    first_continues_first: bool,
}

impl Order {
    /// The orders in which a pair of steps is run: one, in turn, or with `ESM_SWEEP=full` all.
    fn of_pair(pair: u64) -> impl Iterator<Item = Self> {
        let all = [(false, true), (false, false), (true, true), (true, false)];
        let wanted = move |turn: u64| is_full() || turn == pair % 4;
        let chosen = (0..).zip(all).filter(move |(turn, _)| wanted(*turn));
        chosen.map(|(_, (twice, first_continues_first))| Self {
            twice,
            first_continues_first,
        })
    }
}

/// Freezes one process at each step of its deed. Another starts days later and cleans up. A third
/// does its own deed at the same place, and is frozen at each of its steps. Then both continue. Each
/// pair of steps is run in one of four orders, with `ESM_SWEEP=full` in all: with one clean-up more
/// or without, and with either process continuing first.
///
/// # Example
/// ```
/// # use std::sync::Arc;
/// # use esm_core::store::EventStore;
/// # use esm_testkit::frozen::{Deed, FreezableHarness, Freezer, pairs};
/// # use esm_testkit::memory::MemoryWorld;
/// # struct InMemory(MemoryWorld);
/// # #[async_trait::async_trait]
/// # impl FreezableHarness for InMemory {
/// #     async fn open(&self, _freezer: &Freezer) -> Arc<dyn EventStore> {
/// #         self.0.event_store()
/// #     }
/// #     async fn start_days_later(&self) {}
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let outcome = pairs(|| InMemory(MemoryWorld::new(esm_testkit::environment(1))), Deed::Append, Deed::Close).await;
/// // without steps there is one run of one order, with `ESM_SWEEP=full` of each
/// let orders = if esm_testkit::sweep::is_full() { 4 } else { 1 };
/// assert_eq!(outcome.map(|outcome| (outcome.runs, outcome.steps)), Ok((orders, 0)));
/// # }
/// ```
///
/// # Errors
/// The first run in which a process got a success for what is not there or a refusal of what is
/// there, in which both got a success, or after which the stream cannot be read.
pub async fn pairs<H: FreezableHarness>(
    storage: impl Fn() -> H,
    first: Deed,
    second: Deed,
) -> Result<PairsOutcome, String> {
    let mut outcome = PairsOutcome::default();
    for step in 0.. {
        let storage = storage();
        let stopped = with_first_at(&storage, first.at(step), second, &mut outcome);
        if !stopped.await? {
            break;
        }
        outcome.steps = step + 1;
    }
    Ok(outcome)
}

/// All runs with the first process stopped at one step, each on a stream of its own. Returns whether
/// it has that step.
async fn with_first_at<H: FreezableHarness>(
    storage: &H,
    first: FrozenDeed,
    second: Deed,
    outcome: &mut PairsOutcome,
) -> Result<bool, String> {
    for step in 0.. {
        let mut stopped = Stopped::default();
        for order in Order::of_pair(first.step + step) {
            stopped = run(storage, first, second.at(step), order).await?;
            outcome.runs += 1;
        }
        if !stopped.first || !stopped.second {
            return Ok(stopped.first);
        }
    }
    Ok(true)
}

/// Whether the processes have the steps at which they were to be stopped.
#[derive(Debug, Clone, Copy, Default)]
struct Stopped {
    first: bool,
    second: bool,
}

async fn run<H: FreezableHarness>(
    storage: &H,
    first: FrozenDeed,
    second: FrozenDeed,
    order: Order,
) -> Result<Stopped, String> {
    let failed = |error| format!("{first:?} {second:?} {order:?}: {error:?}");
    let stream = StreamId::new(stream_of(second, order)).map_err(failed)?;
    let nobody = Freezer::at(u64::MAX);
    let fresh = storage.open(&nobody).await;
    if first.deed != Deed::Begin && second.deed != Deed::Begin {
        let base = append("base", Environment::system().commit_id());
        let begun = fresh.append(&stream, &Tail::default(), base).await;
        begun.map_err(failed)?;
    }
    let mut first = Process::open(storage, &stream, first)
        .await
        .map_err(failed)?;
    let mut second = Process::open(storage, &stream, second)
        .await
        .map_err(failed)?;
    let mut stopped = Stopped {
        first: first.start().await,
        second: false,
    };
    storage.start_days_later().await;
    stopped.second = second.start().await;
    if order.twice {
        storage.start_days_later().await;
    }
    let (one, other) = if order.first_continues_first {
        (&mut first, &mut second)
    } else {
        (&mut second, &mut first)
    };
    one.end().await;
    other.end().await;
    let cells = read(&*storage.open(&nobody).await, &stream).await;
    let checked = match cells {
        Ok(cells) => check(&cells, &first, &second),
        Err(error) => Err(format!("the stream cannot be read: {error:?}")),
    };
    checked.map_err(|wrong| format!("{wrong}\n{first:#?}\n{second:#?}\n{order:?}"))?;
    Ok(stopped)
}

fn stream_of(second: FrozenDeed, order: Order) -> String {
    let (step, twice) = (second.step, u8::from(order.twice));
    let first = u8::from(order.first_continues_first);
    format!("order-1.frozen-{step}-{twice}-{first}")
}

/// One process and its deed.
#[derive(Debug)]
struct Process {
    deed: Deed,
    freezer: Freezer,
    store: Arc<dyn EventStore>,
    stream: StreamId,
    /// The tail that it saw before it was frozen.
    seen: Tail,
    commit: CommitId,
    working: Option<JoinHandle<Result<Tail>>>,
    result: Option<Result<Tail>>,
}

impl Process {
    async fn open<H: FreezableHarness>(
        storage: &H,
        stream: &StreamId,
        frozen: FrozenDeed,
    ) -> Result<Self> {
        let freezer = Freezer::at(frozen.step);
        let store = storage.open(&freezer).await;
        let seen = store.tail(stream).await?;
        Ok(Self {
            deed: frozen.deed,
            freezer,
            store,
            stream: stream.clone(),
            seen,
            commit: Environment::system().commit_id(),
            working: None,
            result: None,
        })
    }

    /// Begins its deed. Returns whether it stops on the way; else it has ended.
    async fn start(&mut self) -> bool {
        self.freezer.arm();
        let (store, stream) = (Arc::clone(&self.store), self.stream.clone());
        let (seen, commit, deed) = (self.seen.clone(), self.commit, self.deed);
        let mut working = tokio::spawn(async move {
            if deed == Deed::Close {
                let close = close(&*store, seen.next_revision());
                return store.close(&stream, &seen, commit, close?).await;
            }
            let append = append(&commit.to_string(), commit);
            store.append(&stream, &seen, append).await
        });
        tokio::select! {
            () = self.freezer.reached() => {
                self.working = Some(working);
                true
            }
            ended = &mut working => {
                self.result = ended.ok();
                false
            }
        }
    }

    async fn end(&mut self) {
        self.freezer.thaw();
        if let Some(working) = self.working.take() {
            self.result = working.await.ok();
        }
    }
}

fn append(id: &str, commit: CommitId) -> Append {
    Append::events(commit, vec![event(id, "Frozen").into()])
}

fn close(store: &dyn EventStore, events: Revision) -> Result<Close> {
    Ok(Close {
        target: Some(StreamRef::new(store.id(), StreamId::new("the-target")?)),
        events,
        target_events: events,
        migration: Environment::system().migration_id(),
        continues: true,
        target_last: None,
    })
}

async fn read(store: &dyn EventStore, stream: &StreamId) -> Result<Vec<Cell>> {
    let limit = PageLimit::default();
    Ok(store.read(stream, ReadFrom::Seq(0), limit).await?.cells)
}

fn check(cells: &[Cell], first: &Process, second: &Process) -> Result<(), String> {
    for (cell, seq) in cells.iter().zip(0..) {
        if cell.header.seq != seq {
            return Err(format!("cell {seq} is missing"));
        }
    }
    let close = cells
        .iter()
        .position(|cell| matches!(cell.header.kind, CellKind::Close(_)));
    if close.is_some_and(|at| at + 1 != cells.len()) {
        return Err("cells follow a Close".to_owned());
    }
    for process in [first, second] {
        let own: Vec<_> = cells
            .iter()
            .filter(|cell| cell.header.commit == process.commit)
            .collect();
        let is_whole = own.iter().all(|cell| {
            let ids: Vec<_> = cell.events.iter().map(|e| e.event.id.as_str()).collect();
            process.deed == Deed::Close || ids == [process.commit.to_string()]
        });
        let right = match &process.result {
            Some(Ok(tail)) => own.len() == 1 && tail.last.as_ref() == Some(&own[0].header),
            Some(Err(error)) if *error.kind() == ErrorKind::Ambiguous => own.len() <= 1,
            Some(Err(_)) => own.is_empty(),
            None => false,
        };
        if !right || !is_whole {
            return Err(format!(
                "a {:?} is in the stream {} times, and its result is not that",
                process.deed,
                own.len()
            ));
        }
    }
    Ok(())
}
