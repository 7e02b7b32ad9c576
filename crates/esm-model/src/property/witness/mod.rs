//! What must happen sometimes: a model in which nothing happens proves nothing.

mod crash;

use stateright::Property;

use crate::protocol::Protocol;
use crate::scope::{Kind, Scope};
use crate::world::{
    Cell, Close, Entry, Event, Reader, Request, Run, Slot, Step, Stream, World, Writer, WriterStep,
};

type Witness = fn(&Protocol, &World) -> bool;

/// What must be found, in scopes that it applies to.
struct Wanted {
    applies: bool,
    name: &'static str,
    holds: Witness,
}

impl Wanted {
    fn when(applies: bool, name: &'static str, holds: Witness) -> Self {
        Self {
            applies,
            name,
            holds,
        }
    }
}

/// What must be found in a scope.
pub(super) fn properties(scope: &Scope) -> Vec<Property<Protocol>> {
    let mut wanted = ends(scope);
    wanted.extend(races(scope));
    wanted.extend(crash::witnesses(scope));
    wanted.extend(features(scope));
    wanted
        .into_iter()
        .filter(|wanted| wanted.applies)
        .map(|wanted| Property::sometimes(wanted.name, wanted.holds))
        .collect()
}

/// How migrations end.
fn ends(scope: &Scope) -> Vec<Wanted> {
    let writes = !scope.writers.is_empty();
    let crowded = scope.migrators > 1;
    let again = scope.budget.findings > 0 || scope.budget.failures > 0;
    vec![
        Wanted::when(true, "all migrations are completed", |_, world| {
            all_completed(world)
        }),
        Wanted::when(
            writes,
            "all are completed, and all writers are through",
            |protocol, world| {
                let is_through = |at| protocol.next_append(world, at).is_none();
                all_completed(world) && (0..world.writers.len()).all(is_through)
            },
        ),
        Wanted::when(scope.undo, "a migration is rolled back", |_, world| {
            any_ends(world, Entry::RolledBack)
        }),
        Wanted::when(
            scope.budget.commands > 0,
            "a run receives the command to undo, and goes forward again",
            |_, world| {
                world.journals.iter().any(|journal| {
                    journal.windows(2).any(|pair| {
                        pair[0].entry == Entry::RollBackRefused && pair[0].epoch == pair[1].epoch
                    })
                })
            },
        ),
        Wanted::when(scope.undo && crowded, "an undo is refused", |_, world| {
            any_ends(world, Entry::RollBackRefused)
        }),
        Wanted::when(
            scope.undo && crowded && scope.budget.runs > 2,
            "an undo that another has begun is refused, and goes forward",
            |_, world| {
                world.journals.iter().any(|journal| {
                    journal.windows(3).any(|three| {
                        (three[0].entry, three[1].entry) == (Entry::Claim, Entry::RollBackRefused)
                            && three[1].epoch == three[2].epoch
                    })
                })
            },
        ),
        Wanted::when(again, "a second attempt is begun", |_, world| {
            streams(world).any(|stream| stream.origin().is_some_and(|origin| origin.attempt > 0))
        }),
        Wanted::when(scope.competing, "a migration is superseded", |_, world| {
            world
                .runs()
                .any(|run| run.epoch > 0 && superseded(world, run))
        }),
    ]
}

/// Who meets whom on the way.
fn races(scope: &Scope) -> Vec<Wanted> {
    let writes = !scope.writers.is_empty();
    let loses = scope.budget.losses > 0;
    let crowded = scope.migrators > 1;
    vec![
        Wanted::when(writes, "a Close comes too late", |_, world| {
            pending_closes(world).any(|(stream, seq)| world.stream(stream).cell(seq).is_some())
        }),
        Wanted::when(
            writes && loses,
            "an append with an unknown outcome has happened",
            |_, world| {
                let stands = |(stream, seq, root)| {
                    let cell = world.stream(stream).cell(seq);
                    cell.is_some_and(|cell| cell.append() == Some(root))
                };
                settling(world).any(stands)
            },
        ),
        Wanted::when(
            writes && loses,
            "an append with an unknown outcome meets a Close",
            |_, world| {
                let is_close = |(stream, seq, _)| {
                    matches!(world.stream(stream).cell(seq), Some(Cell::Close(_)))
                };
                settling(world).any(is_close)
            },
        ),
        Wanted::when(
            loses,
            "a Close arrives whose sender has given up",
            |_, world| {
                let takes_effect = |request: &Request| match request {
                    Request::Put {
                        stream, seq, cell, ..
                    } => {
                        matches!(cell, Cell::Close(_)) && world.stream(*stream).cell(*seq).is_none()
                    }
                    _ => false,
                };
                world.late.iter().any(takes_effect)
            },
        ),
        Wanted::when(
            crowded,
            "two runs work at the same migration",
            |_, world| {
                let mut runs = world.runs().filter(|run| run.epoch > 0);
                let both = runs.next().zip(runs.next());
                both.is_some_and(|(a, b)| a.migration == b.migration)
            },
        ),
        Wanted::when(
            scope.undo && crowded,
            "a Close meets a Fence",
            |_, world| {
                let is_fence = |(stream, seq)| {
                    matches!(world.stream(stream).cell(seq), Some(Cell::Fence { .. }))
                };
                pending_closes(world).any(is_fence)
            },
        ),
        Wanted::when(
            scope.undo && crowded && (writes || scope.initial > 1),
            "a discarded target is written to",
            |_, world| fenced(world).any(|target| world.stream(target).has_gap()),
        ),
        Wanted::when(
            scope.lock && scope.budget.expiries > 0,
            "a run continues after its lock has expired",
            |_, world| {
                let lost = |run: &Run| world.lock.is_some_and(|holder| holder != run.id);
                world.runs().any(|run| run.epoch > 0 && lost(run))
            },
        ),
    ]
}

/// What not every migration has.
fn features(scope: &Scope) -> Vec<Wanted> {
    let writes = !scope.writers.is_empty();
    let reverses = scope.migrations.contains(&Kind::Reverse);
    let restores = scope.migrations.iter().any(is_restore);
    vec![
        Wanted::when(
            scope.beside && scope.budget.damages > 0,
            "a difference is found beside the copy",
            |_, world| world.runs().any(|run| run.differs),
        ),
        Wanted::when(
            scope.beside,
            "a copy that fails leaves what was compared beside it",
            |_, world| {
                let looks = |run: &Run| matches!(run.step, Step::LookAtTarget);
                world
                    .runs()
                    .any(|run| run.beside > 0 && run.compared.is_none() && looks(run))
            },
        ),
        Wanted::when(
            writes && !scope.decoy,
            "a writer that meets a Close continues behind it",
            |_, world| {
                let behind = |writer: &Writer| match &writer.step {
                    WriterStep::Behind(behind) => behind.first == Some(true),
                    _ => false,
                };
                world.writers.iter().any(behind)
            },
        ),
        Wanted::when(
            writes && !scope.decoy,
            "an event is appended to a target",
            |_, world| {
                streams(world).any(|stream| {
                    let is_last = stream
                        .cells()
                        .next_back()
                        .is_some_and(|c| c.append().is_some());
                    stream.origin().is_some() && is_last
                })
            },
        ),
        Wanted::when(
            scope.flush,
            "a source is closed to what was flushed",
            |_, world| closes(world).any(|(_, close)| world.stream(close.target).is_flushed()),
        ),
        Wanted::when(
            scope.flush && writes,
            "a source is closed after another flush was beaten",
            |_, world| {
                let attempt = |close: Close| world.stream(close.target).origin();
                let is_again = |(_, close)| attempt(close).is_some_and(|o| o.attempt > 0);
                closes(world).any(is_again)
            },
        ),
        Wanted::when(
            scope.folds() && !scope.flush && writes,
            "a run waits for the end of a window",
            |_, world| world.runs().any(|run| run.step == Step::WaitForWindow),
        ),
        Wanted::when(
            scope.folds() && !scope.flush && writes,
            "a window ends while a run waits for it",
            |protocol, world| {
                let ended = |run: &Run| {
                    let all = world.stream(run.source).events().count();
                    run.step == Step::WaitForWindow
                        && protocol
                            .held(world, run.migration, run.source, all)
                            .is_none()
                };
                world.runs().any(ended)
            },
        ),
        Wanted::when(
            writes && reverses,
            "a reverse migration brings back what came after the pivot",
            |protocol, world| {
                let brings_back = |(_, close): (Slot, Close)| {
                    protocol.kind(close.migration) == Kind::Reverse
                        && world
                            .stream(close.target)
                            .events()
                            .any(Event::was_transformed_back)
                };
                closes(world).any(brings_back)
            },
        ),
        Wanted::when(
            restores,
            "a restore closes the active stream",
            |protocol, world| {
                closes(world).any(|(_, close)| {
                    is_restore(&protocol.kind(close.migration)) && !close.continues
                })
            },
        ),
        Wanted::when(
            scope.mirror && !scope.folds(),
            "a mirror writes to a target",
            |_, world| {
                let takes_effect = |writer: &Writer| match &writer.step {
                    WriterStep::Mirroring(Request::Put { stream, seq, .. }) => {
                        world.stream(*stream).cell(*seq).is_none()
                    }
                    _ => false,
                };
                world.writers.iter().any(takes_effect)
            },
        ),
        Wanted::when(
            scope.dual_read,
            "a dual read is served by the target",
            |_, world| world.reader == Reader::Read(true),
        ),
        Wanted::when(scope.deletion, "a closed stream is deleted", |_, world| {
            streams(world).any(Stream::is_deleted)
        }),
    ]
}

fn is_restore(kind: &Kind) -> bool {
    matches!(kind, Kind::Restore(_))
}

fn streams(world: &World) -> impl Iterator<Item = &Stream> {
    (0..world.streams.len() as Slot).map(|slot| world.stream(slot))
}

/// The targets that a Fence names.
fn fenced(world: &World) -> impl Iterator<Item = Slot> {
    streams(world)
        .flat_map(Stream::cells)
        .filter_map(|cell| match cell {
            Cell::Fence { target, .. } => Some(*target),
            _ => None,
        })
}

fn all_completed(world: &World) -> bool {
    (0..world.journals.len()).all(|migration| end(world, migration) == Some(Entry::Completed))
}

fn any_ends(world: &World, entry: Entry) -> bool {
    (0..world.journals.len()).any(|migration| end(world, migration) == Some(entry))
}

fn end(world: &World, migration: usize) -> Option<Entry> {
    world.journals[migration].last().map(|record| record.entry)
}

fn closes(world: &World) -> impl Iterator<Item = (Slot, Close)> {
    (0..world.streams.len() as Slot)
        .filter_map(|slot| world.stream(slot).close().map(|close| (slot, close)))
}

/// The Closes that are under way: their streams and cells.
fn pending_closes(world: &World) -> impl Iterator<Item = (Slot, u8)> {
    world.runs().filter_map(|run| match &run.step {
        Step::Sent(
            Request::Put {
                stream,
                seq,
                cell: Cell::Close(_),
                ..
            },
            _,
        ) => Some((*stream, *seq)),
        _ => None,
    })
}

/// The appends whose outcome is unknown: their streams, cells and numbers.
fn settling(world: &World) -> impl Iterator<Item = (Slot, u8, u8)> {
    world
        .writers
        .iter()
        .filter_map(|writer| match &writer.step {
            WriterStep::Settle(sending) => Some((sending.stream, sending.seq, sending.root)),
            _ => None,
        })
}

fn superseded(world: &World, run: &Run) -> bool {
    let close = world.stream(run.source).close();
    close.is_some_and(|close| close.migration != run.migration)
        && matches!(run.step, Step::Sent(Request::Discard(_), _))
}
