//! Targets: exactly the transformed source.

use std::collections::BTreeMap;

use esm_core::event::{Event, Revision};
use esm_core::id::{ObjectId, StreamId};
use esm_core::store::{Cell, Close, Origin};
use esm_core::transform::Mapper;

use super::streams::{Observed, Stream, written_by_application};

/// The permitted contents of targets, by their fingerprint.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) mappers: BTreeMap<String, Mapper>,
    /// The events of backups.
    pub(super) backups: BTreeMap<String, Vec<Event>>,
}

/// Checks all targets among these streams whose source is there, of the chain of this object.
///
/// # Errors
/// The violation, for people.
pub(super) fn check(object: &ObjectId, now: &Observed, known: &Known) -> Result<(), String> {
    let mut pending = vec![StreamId::first(object)];
    while let Some(source) = pending.pop().and_then(|id| now.get(&id)) {
        let targets = now.values().filter(|stream| {
            let origin = stream.origin();
            origin.is_some_and(|origin| origin.source.stream == source.id)
        });
        for target in targets {
            copied(object, source, target, now, known)?;
        }
        if let Some(close) = source.close() {
            closed(source, close, now, known)?;
            pending.extend(close.target.as_ref().map(|target| target.stream.clone()));
        }
    }
    Ok(())
}

/// Checks that a copier wrote the transformed source to a target, cell by cell up to each cursor.
fn copied(
    object: &ObjectId,
    source: &Stream,
    target: &Stream,
    now: &Observed,
    known: &Known,
) -> Result<(), String> {
    let Some(origin) = target.origin() else {
        return Ok(());
    };
    if source.is_buried() || target.is_buried() {
        return Ok(());
    }
    let fingerprint = origin.fingerprint.as_str();
    if let Some(events) = known.backups.get(fingerprint) {
        return restored(target, events);
    }
    let fingerprint = origin.appends_through().as_str();
    let Some(mapper) = known.mappers.get(fingerprint) else {
        return Err(format!(
            "{} has an unknown transformation: {fingerprint}",
            target.id
        ));
    };
    let mut events = to_copy(source, origin, now)?.into_iter();
    let mut cursor = Revision::START;
    for cell in &target.cells {
        let at = format!("{}, cell {}", target.id, cell.header.seq);
        let Some(next) = cell.header.cursor() else {
            if written_by_application(cell) && source.close().is_none() {
                return Err(format!("{at}: an application wrote to it before the Close"));
            }
            continue;
        };
        if next < cursor {
            return Err(format!(
                "{at}: its cursor goes back from {cursor} to {next}"
            ));
        }
        let count = usize::try_from(next.0 - cursor.0).unwrap_or(usize::MAX);
        let taken: Vec<_> = events.by_ref().take(count).collect();
        if taken.len() != count {
            return Err(format!(
                "{at}: its cursor is {next}, beyond the source's end"
            ));
        }
        equals_image(object, mapper, &taken, cell).map_err(|what| format!("I4: {at}: {what}"))?;
        cursor = next;
    }
    Ok(())
}

/// An event to be copied.
struct Source<'a> {
    /// Its number among all events to be copied.
    number: Revision,
    /// Its revision in its stream.
    revision: Revision,
    event: &'a Event,
    /// Whether it stays as it is, because it is a restored original (R18).
    original: bool,
}

/// Returns the events whose images a target is to hold: those of its source, or, in the target of a
/// reverse migration, the originals and then the later events of the source (R18).
fn to_copy<'a>(
    source: &'a Stream,
    origin: &Origin,
    now: &'a Observed,
) -> Result<Vec<Source<'a>>, String> {
    let numbered = |stream: &'a Stream, original, from: u64, number: u64| {
        let events = (0..)
            .zip(stream.events())
            .skip_while(move |(at, _)| *at < from);
        events.map(move |(at, copied)| Source {
            number: Revision(number + at - from),
            revision: Revision(at),
            event: &copied.event,
            original,
        })
    };
    let Some(restores) = &origin.restores else {
        return Ok(numbered(source, false, 0, 0).collect());
    };
    let id = &restores.originals.stream;
    let originals = now
        .get(id)
        .ok_or(format!("R18: originals are gone: {id}"))?;
    let close = originals.close().filter(|close| {
        close.migration == restores.migration
            && (close.events, close.target_events) == (restores.events, restores.source_from)
    });
    if close.is_none() {
        return Err(format!("R18: the Close of {id} contradicts {restores:?}"));
    }
    let since = numbered(source, false, restores.source_from.0, restores.events.0);
    Ok(numbered(originals, true, 0, 0).chain(since).collect())
}

/// R19: a restored stream holds the first events of the backup, and every cell records how many.
fn restored(target: &Stream, backup: &[Event]) -> Result<(), String> {
    let mut rest = backup;
    for cell in &target.cells {
        let Some(cursor) = cell.header.cursor() else {
            return Ok(());
        };
        let at = format!("{}, cell {}", target.id, cell.header.seq);
        if cursor != cell.header.next_revision() {
            return Err(format!("{at}: its cursor is {cursor}, not its end"));
        }
        let (here, after) = rest
            .split_at_checked(cell.events.len())
            .ok_or_else(|| format!("I9: {at}: holds more than the backup"))?;
        if !cell.events.iter().map(|copied| &copied.event).eq(here) {
            return Err(format!("I9: {at}: holds other events than the backup"));
        }
        rest = after;
    }
    Ok(())
}

/// Checks that the events of a copied cell are the images of these source events, and name their
/// source revisions.
fn equals_image(
    object: &ObjectId,
    mapper: &Mapper,
    source: &[Source<'_>],
    cell: &Cell,
) -> Result<(), String> {
    let mut wanted = Vec::new();
    for Source {
        number,
        revision,
        event,
        original,
    } in source
    {
        let outputs = if *original {
            vec![(*event).clone()]
        } else {
            let mapped = mapper.map(object, *revision, event);
            mapped.map_err(|failure| failure.to_string())?.outputs
        };
        wanted.extend(outputs.into_iter().map(|output| (*number, output)));
    }
    let ids = |events: Vec<&Event>| {
        let ids: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
        ids.join(", ")
    };
    let same = cell.events.len() == wanted.len()
        && (cell.events.iter().zip(&wanted)).all(|(found, (revision, event))| {
            found.event == *event && found.source_revision.is_none_or(|said| said == *revision)
        });
    if same {
        Ok(())
    } else {
        Err(format!(
            "holds [{}], the source gives [{}]",
            ids(cell.events.iter().map(|copied| &copied.event).collect()),
            ids(wanted.iter().map(|(_, event)| event).collect()),
        ))
    }
}

/// I4: the statements of a Close about its target are true, and the target is not fenced off.
fn closed(source: &Stream, close: &Close, now: &Observed, known: &Known) -> Result<(), String> {
    let Some(target) = &close.target else {
        return Ok(());
    };
    let id = &source.id;
    if source
        .fences()
        .any(|(_, fence)| fence.target == target.stream)
    {
        return Err(format!(
            "R17: {id} is closed to a target that it has a Fence of"
        ));
    }
    let Some(target) = now.get(&target.stream).filter(|target| !target.is_absent()) else {
        return Err(format!("I5: {id} is closed to a target that is not there"));
    };
    let Some(origin) = target.origin() else {
        return Err(format!("I4: {id} is closed to a stream that has no origin"));
    };
    if origin.source.stream != *id || origin.migration != close.migration {
        return Err(format!(
            "I4: {id} is closed to a target of another source or migration"
        ));
    }
    if target.is_buried() {
        return Ok(());
    }
    if !close.continues {
        let backup = known.backups.get(origin.fingerprint.as_str());
        let whole = backup.is_none_or(|events| events.len() as u64 == close.target_events.0);
        return if whole {
            Ok(())
        } else {
            Err(format!("I9: {id} is closed to a half-restored stream"))
        };
    }
    let mut complete = None;
    for cell in &target.cells {
        if let Some(cursor) = cell.header.cursor() {
            complete = Some((cursor, cell.header.next_revision()));
        }
    }
    let all = match &origin.restores {
        Some(restores) => restores.restored(close.events),
        None => Some(close.events),
    };
    if complete.is_some() && complete == all.map(|all| (all, close.target_events)) {
        Ok(())
    } else {
        Err(format!(
            "I4: {id} is closed with N = {} and M = {}, but its target is complete for {complete:?}",
            close.events, close.target_events
        ))
    }
}
