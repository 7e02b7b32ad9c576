//! The published phases (R20), in a model of their own: nothing in the protocol's safety rests on
//! them, so the streams need not be there.
//!
//! Publishers read the newest entry, ask `routing::next_entry`, and put the next record, as
//! `RoutingTable::advance_to` does; anything may come between the read and the put.

use esm_core::id::{MigrationId, StoreId, StreamId, StreamRef};
use esm_core::migration::MigrationPhase::{self, BookClosed, Cutover, DualRead, DualWrite, Normal};
use esm_core::protocol::routing::{RoutingEntry, next_entry};
use stateright::{Model, Property};
use uuid::Uuid;

/// Who publishes phases of one object.
#[derive(Debug, Clone)]
pub struct Phases {
    /// How it is broken.
    pub twin: Option<PhasesTwin>,
    publishers: Vec<Publisher>,
}

/// A way to break it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhasesTwin {
    /// X12: the generations of each migration are numbered anew, from 0.
    GenerationsNumberedAnew,
    /// A record is put without regard to what came since the read.
    PutWithoutCompare,
    /// Entries do not tell which migration they are of.
    MigrationsAlike,
}

/// A migrator, as far as it publishes phases.
#[derive(Debug, Clone)]
struct Publisher {
    begin: Published,
    entry: RoutingEntry,
    goals: &'static [MigrationPhase],
}

const ALL_THE_WAY: &[MigrationPhase] = &[DualWrite, DualRead, Cutover, BookClosed];
const UNDONE: &[MigrationPhase] = &[DualWrite, Normal];

/// The records, and where the publishers stand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Board {
    records: Vec<Published>,
    publishers: Vec<Progress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Published {
    migration: u8,
    generation: u64,
    attempt: u8,
    phase: MigrationPhase,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Progress {
    /// The goals that it has reached; all of them once it is superseded.
    reached: usize,
    superseded: bool,
    /// What it is about to put, and under which number.
    puts: Option<(usize, Published)>,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhasesAction {
    /// A publisher reads the newest entry, and decides.
    Read(usize),
    /// Its put arrives.
    Put(usize),
}

/// [R20](esm_core::protocol#r20): one phase at a time.
pub const ONE_AT_A_TIME: &str = "phases go one at a time";
/// [R20](esm_core::protocol#r20): what belongs to a later generation stays.
pub const FORWARD: &str = "generations never go back";
/// Nothing goes back from the last phase.
pub const FINAL: &str = "closed books stay closed";
/// Who takes its own phases back leaves those of another migration.
pub const OTHERS: &str = "who only wants to be normal leaves what another migration published";

impl Phases {
    /// A migration, another holder that undoes it, its next attempt, and the migration after it, all
    /// at once.
    ///
    /// # Errors
    /// `Invalid` where production refuses one of the model's names.
    pub fn new(twin: Option<PhasesTwin>) -> esm_core::Result<Self> {
        let publishers = [
            (published(0, 0, 0), ALL_THE_WAY),
            (published(0, 0, 0), UNDONE),
            (published(0, 0, 1), &[DualWrite]),
            (published(1, 1, 2), ALL_THE_WAY),
        ];
        Self::of(twin, &publishers)
    }

    /// Two migrations of the same source, one of which is undone, another holder that undoes the
    /// other, and the migration after them, all at once.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn competing(twin: Option<PhasesTwin>) -> esm_core::Result<Self> {
        let publishers = [
            (published(0, 0, 0), ALL_THE_WAY),
            (published(0, 0, 0), UNDONE),
            (published(1, 0, 1), UNDONE),
            (published(2, 1, 2), ALL_THE_WAY),
        ];
        Self::of(twin, &publishers)
    }

    fn of(
        twin: Option<PhasesTwin>,
        publishers: &[(Published, &'static [MigrationPhase])],
    ) -> esm_core::Result<Self> {
        let publisher = |(begin, goals): &(Published, &'static [MigrationPhase])| {
            Ok(Publisher {
                begin: *begin,
                entry: entry(twin, *begin)?,
                goals,
            })
        };
        let publishers = publishers.iter().map(publisher);
        Ok(Self {
            twin,
            publishers: publishers.collect::<esm_core::Result<_>>()?,
        })
    }

    /// What production reads where the model has this.
    fn entry(&self, published: Published) -> Option<RoutingEntry> {
        let is_of = |publisher: &&Publisher| publisher.begin.attempt == published.attempt;
        let phase = published.phase;
        let publisher = self.publishers.iter().find(is_of)?;
        Some(RoutingEntry {
            phase,
            ..publisher.entry.clone()
        })
    }

    /// `RoutingTable::advance_to`, up to the put.
    fn read(&self, board: &mut Board, at: usize) {
        let publisher = &self.publishers[at];
        let newest = board.records.last().copied();
        let found = newest.and_then(|newest| self.entry(newest));
        let progress = &mut board.publishers[at];
        let goal = publisher.goals[progress.reached];
        match next_entry(found, &publisher.entry, goal) {
            Ok(None) => progress.reached += 1,
            Ok(Some(next)) => {
                let is_own = next.target == publisher.entry.target;
                let of = newest.filter(|_| !is_own).unwrap_or(publisher.begin);
                let phase = next.phase;
                progress.puts = Some((board.records.len(), Published { phase, ..of }));
            }
            Err(_) => progress.superseded = true,
        }
    }

    /// Whether a publisher that wants to be normal is about to put an entry of another migration.
    fn takes_anothers_back(&self, board: &Board, at: usize) -> bool {
        let (publisher, progress) = (&self.publishers[at], &board.publishers[at]);
        progress.puts.is_some_and(|(_, record)| {
            publisher.goals[progress.reached] == Normal
                && record.migration != publisher.begin.migration
        })
    }

    fn put(&self, board: &mut Board, at: usize) {
        let Some((number, record)) = board.publishers[at].puts.take() else {
            return;
        };
        let compares = self.twin != Some(PhasesTwin::PutWithoutCompare);
        if board.records.len() == number || !compares {
            board.records.push(record);
        }
    }
}

/// What a publisher begins with.
fn published(migration: u8, generation: u64, attempt: u8) -> Published {
    Published {
        migration,
        generation,
        attempt,
        phase: Normal,
    }
}

fn entry(twin: Option<PhasesTwin>, published: Published) -> esm_core::Result<RoutingEntry> {
    let store = StoreId::from_uuid(Uuid::from_u128(1));
    let generation = published.generation;
    let source = StreamId::new(format!("s{generation}"))?;
    let target = StreamId::new(format!("t{}", published.attempt))?;
    let renumbered = twin == Some(PhasesTwin::GenerationsNumberedAnew);
    let alike = twin == Some(PhasesTwin::MigrationsAlike);
    let migration = if alike { 0 } else { published.migration };
    Ok(RoutingEntry {
        migration: MigrationId::from_uuid(Uuid::from_u128(u128::from(migration))),
        generation: if renumbered { 0 } else { generation },
        source: StreamRef::new(store, source),
        target: StreamRef::new(store, target),
        phase: published.phase,
    })
}

impl Model for Phases {
    type State = Board;
    type Action = PhasesAction;

    fn init_states(&self) -> Vec<Board> {
        let idle = Progress {
            reached: 0,
            superseded: false,
            puts: None,
        };
        vec![Board {
            records: Vec::new(),
            publishers: vec![idle; self.publishers.len()],
        }]
    }

    fn actions(&self, board: &Board, actions: &mut Vec<PhasesAction>) {
        for (at, progress) in board.publishers.iter().enumerate() {
            let is_through = progress.reached == self.publishers[at].goals.len();
            match progress.puts {
                Some(_) => actions.push(PhasesAction::Put(at)),
                None if !is_through && !progress.superseded => actions.push(PhasesAction::Read(at)),
                None => {}
            }
        }
    }

    fn next_state(&self, board: &Board, action: PhasesAction) -> Option<Board> {
        let mut next = board.clone();
        match action {
            PhasesAction::Read(at) => self.read(&mut next, at),
            PhasesAction::Put(at) => self.put(&mut next, at),
        }
        Some(next)
    }

    /// Attempts at the same source may take each other back again and again.
    fn within_boundary(&self, board: &Board) -> bool {
        board.records.len() <= 8
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_AT_A_TIME, |_, board: &Board| {
                pairs(board).all(|(before, after)| match before {
                    Some(before) if before.attempt == after.attempt => {
                        (before.phase as u8).abs_diff(after.phase as u8) == 1
                    }
                    _ => after.phase == DualWrite,
                })
            }),
            Property::always(FORWARD, |_, board: &Board| {
                pairs(board).all(|(before, after)| {
                    before.is_none_or(|before| before.generation <= after.generation)
                })
            }),
            Property::always(FINAL, |_, board: &Board| {
                pairs(board).all(|(before, after)| {
                    before.is_none_or(|before| {
                        before.phase != BookClosed || before.generation < after.generation
                    })
                })
            }),
            Property::always(OTHERS, |phases: &Self, board: &Board| {
                (0..board.publishers.len()).all(|at| !phases.takes_anothers_back(board, at))
            }),
            Property::sometimes("an attempt is taken back", |_, board: &Board| {
                board.records.iter().any(|record| record.phase == Normal)
            }),
            Property::sometimes(
                "a migration goes all the way, and the next too",
                |_, board: &Board| {
                    let closed = board
                        .records
                        .iter()
                        .filter(|record| record.phase == BookClosed);
                    closed.count() == 2
                },
            ),
            Property::sometimes("a publisher is superseded", |_, board: &Board| {
                board.publishers.iter().any(|progress| progress.superseded)
            }),
        ]
    }
}

/// Each record with the one before it.
fn pairs(board: &Board) -> impl Iterator<Item = (Option<Published>, Published)> + '_ {
    let before = [None]
        .into_iter()
        .chain(board.records.iter().copied().map(Some));
    before.zip(board.records.iter().copied())
}
