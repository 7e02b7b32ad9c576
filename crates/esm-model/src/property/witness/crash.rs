//! What only a crash leaves behind: an action of that name which did nothing would leave none of it.

use super::{Wanted, closes, end};
use crate::protocol::Protocol;
use crate::scope::Scope;
use crate::world::{Cell, Entry, Record, Request, World};

/// What must be found where there are crashes.
pub(super) fn witnesses(scope: &Scope) -> Vec<Wanted> {
    let crashes = scope.budget.crashes > 0;
    let again = scope.budget.runs > 1;
    let writes = !scope.writers.is_empty();
    vec![
        Wanted::when(
            crashes,
            "a migrator is killed after its Close",
            |protocol, world| {
                let mut migrations = 0..world.journals.len();
                nothing_was_lost(protocol, world) && migrations.any(|at| is_deserted(world, at))
            },
        ),
        Wanted::when(
            crashes && again,
            "a migrator is killed, and another finishes what it began",
            |protocol, world| {
                let left = |request: &Request| is_from_the_dead(world, request);
                nothing_was_lost(protocol, world) && world.late.iter().any(left)
            },
        ),
        Wanted::when(
            crashes && writes,
            "a writer is killed with an append under way",
            |protocol, world| {
                let left = |request: &Request| is_open_append(world, request);
                nothing_was_lost(protocol, world) && world.late.iter().any(left)
            },
        ),
    ]
}

/// While that is so, a write whose sender no longer waits for it is one of somebody who was killed.
fn nothing_was_lost(protocol: &Protocol, world: &World) -> bool {
    world.budget.losses == protocol.scope.budget.losses
}

/// Whether the only run that has ever been in charge has closed the source, recorded no end, and is
/// gone: a run that lives continues to the last record.
fn is_deserted(world: &World, migration: usize) -> bool {
    let is_closed = closes(world).any(|(_, close)| usize::from(close.migration) == migration);
    let is_left = |record: &Record| {
        let goes_on = matches!(record.entry, Entry::Claim | Entry::Planned);
        goes_on && record.epoch == 1 && !is_running(world, record.run)
    };
    is_closed && world.journals[migration].iter().all(is_left)
}

/// Whether this is a record of a run that is gone, in a journal that another run has completed.
fn is_from_the_dead(world: &World, request: &Request) -> bool {
    let Request::Journal {
        migration, record, ..
    } = request
    else {
        return false;
    };
    let migration = usize::from(*migration);
    let journal = &world.journals[migration];
    journal.iter().any(|found| found.run == record.run)
        && journal.last().is_some_and(|last| last.run != record.run)
        && end(world, migration) == Some(Entry::Completed)
        && !is_running(world, record.run)
}

/// Whether this is an application's append that can still take effect.
fn is_open_append(world: &World, request: &Request) -> bool {
    match request {
        Request::Put {
            stream, seq, cell, ..
        } => {
            let is_append = matches!(cell, Cell::Data(data) if data.cursor.is_none());
            is_append && world.stream(*stream).cell(*seq).is_none()
        }
        _ => false,
    }
}

fn is_running(world: &World, run: u8) -> bool {
    world.runs().any(|running| running.id == run)
}
