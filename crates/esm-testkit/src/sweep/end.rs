//! The expected end of a run.

use std::collections::BTreeSet;

use esm_core::event::Event;
use esm_core::id::{BackupId, ObjectId, StreamId};
use esm_core::store::{BackupItem, CellKind, LockProvider as _};
use esm_core::transform::Mapper;

use super::reversal;
use super::simulation::Simulation;

/// Checks a completed migration. Every event can be read once, in order, through its object, under
/// the transformation. The books are closed and the backups readable where the scenario requires
/// that. No stream is left over, no lock is held, and no invariant was broken on the way.
///
/// # Errors
/// The violation, for people.
pub(super) async fn check(simulation: &Simulation<'_>) -> Result<(), String> {
    check_violations(simulation)?;
    let mut expected = BTreeSet::new();
    for (object, _) in &simulation.scenario.objects {
        expected.extend(check_object(simulation, object).await?);
    }
    check_streams(simulation, &expected).await?;
    check_backups(simulation).await?;
    simulation.let_leases_pass().await;
    let locks = simulation.locks.list().await.map_err(|e| e.to_string())?;
    if locks.is_empty() {
        Ok(())
    } else {
        Err(format!("locks are held: {locks:?}"))
    }
}

/// Checks that no watch found a violation.
///
/// # Errors
/// The first violation.
pub(super) fn check_violations(simulation: &Simulation<'_>) -> Result<(), String> {
    match simulation.plan.violations().first() {
        None => Ok(()),
        Some(violation) => Err(violation.to_string()),
    }
}

/// Checks an object, and returns its streams.
async fn check_object(
    simulation: &Simulation<'_>,
    object: &ObjectId,
) -> Result<Vec<StreamId>, String> {
    let document = simulation.place.document(object).await?;
    let wanted = match simulation.scenario.reversal {
        Some(_) => 2,
        None => 1,
    };
    let count = document.terminated.len();
    let Some(terminated) = document.terminated.first().filter(|_| count == wanted) else {
        return Err(format!(
            "{object} has {count} terminated streams, wanted {wanted}"
        ));
    };
    if terminated.stream.stream != StreamId::first(object) {
        return Err(format!(
            "{object} has a wrong terminated stream: {terminated:?}"
        ));
    }
    let closed = document.terminated.iter().map(|t| t.stream.stream.clone());
    let active = document.active.stream.clone();
    let mapper = Mapper::new(reversal::image(simulation, object).await?);
    let found = simulation.place.events(&active).await?;
    let history = simulation.histories.get(object).ok_or("no history")?;
    let checked = history.check_transformed(&found, object, &mapper);
    checked.map_err(|what| format!("{object}: {what}"))?;
    let books = planned(simulation).await?.1 && simulation.scenario.reversal.is_none();
    if books && (terminated.books_closed_at.is_none() || terminated.archive.is_none()) {
        return Err(format!("the books of {object} are open: {terminated:?}"));
    }
    if let Some(archive) = &terminated.archive {
        let held = backed_up(simulation, &archive.id, object).await?;
        let closed = simulation.place.events(&StreamId::first(object)).await?;
        if held.as_deref() != Some(&closed) {
            return Err(format!("the archive of {object} is not its closed stream"));
        }
    }
    Ok(closed.chain([active]).collect())
}

/// Returns whether the scenario's plan contains a backup, and whether it contains an archive.
async fn planned(simulation: &Simulation<'_>) -> Result<(bool, bool), String> {
    let process = simulation.process("reader", 9).await;
    let process = process.map_err(|e| e.to_string())?;
    let builder = process
        .service
        .migrate("nothing/nothing".parse().map_err(|_| "no object")?);
    let plan = (simulation.scenario.describe)(builder).build();
    let plan = plan.map_err(|e| e.to_string())?;
    let archive = plan
        .close_books
        .is_some_and(|books| books.archive.is_some());
    Ok((plan.backup.is_some(), archive))
}

/// I9: where the plan contains a backup, there is one of every object, and it holds its events.
async fn check_backups(simulation: &Simulation<'_>) -> Result<(), String> {
    if !planned(simulation).await?.0 {
        return Ok(());
    }
    for (object, cells) in &simulation.scenario.objects {
        let mut whole = false;
        for id in simulation.place.backup_ids().await? {
            let held = backed_up(simulation, &id, object).await?;
            // a writer may have appended since
            whole |= held.is_some_and(|held| held.starts_with(&cells.concat()));
        }
        if !whole {
            return Err(format!("I9: no backup holds the events of {object}"));
        }
    }
    Ok(())
}

/// Returns the events of an object in a backup, if it is in it.
async fn backed_up(
    simulation: &Simulation<'_>,
    id: &BackupId,
    object: &ObjectId,
) -> Result<Option<Vec<Event>>, String> {
    let unreadable = |e| format!("backup {id} cannot be read: {e}");
    let reader = simulation.place.backups.open(id).await;
    let mut reader = reader.map_err(unreadable)?;
    let (mut found, mut wanted) = (None, false);
    while let Some(item) = reader.next().await.map_err(unreadable)? {
        match item {
            BackupItem::Section(section) => {
                wanted = section.object == *object;
                if wanted {
                    found = Some(Vec::new());
                }
            }
            BackupItem::Events(events) if wanted => {
                found.get_or_insert_default().extend(events);
            }
            BackupItem::Events(_) | BackupItem::End(_) => {}
        }
    }
    Ok(found)
}

/// I7: an undo restores the earlier state: the source is open and active, and no target is left. In
/// a bulk migration an object that had passed its pivot stays migrated.
///
/// # Errors
/// The violation, for people.
pub(super) async fn check_undone(simulation: &Simulation<'_>) -> Result<(), String> {
    check_violations(simulation)?;
    let mut expected = BTreeSet::new();
    for (object, cells) in &simulation.scenario.objects {
        let (source, before) = reversal::closing(simulation, object).await?;
        let generation = before.len();
        expected.extend(before);
        let tail = simulation.place.event_store.tail(&source).await;
        let tail = tail.map_err(|e| e.to_string())?;
        let document = simulation.place.document(object).await?;
        // the undo did not fence an empty one where the store cannot fence
        expected.extend((!tail.is_empty()).then(|| source.clone()));
        if let Some(close) = tail.close() {
            let bulk = simulation.scenario.objects.len() > 1;
            let target = close.target.as_ref().filter(|_| bulk);
            let target = target.ok_or(format!("I7: {object} was undone and is closed"))?;
            expected.insert(target.stream.clone());
            continue;
        }
        if document.active.stream != source || document.terminated.len() != generation {
            return Err(format!(
                "I7: {object} was undone, but its document names another stream"
            ));
        }
        let events = simulation.place.events(&StreamId::first(object)).await?;
        if !events.starts_with(&cells.concat()) {
            return Err(format!(
                "I7: {object} was undone, and its events have changed"
            ));
        }
    }
    check_streams(simulation, &expected).await
}

/// R17: no undone target is left over, except where the store cannot remove it, or may not because
/// it cannot fence.
async fn check_streams(
    simulation: &Simulation<'_>,
    expected: &BTreeSet<StreamId>,
) -> Result<(), String> {
    let found = simulation.streams().await?;
    let may_stay = !simulation.place.takes_back();
    if found == *expected || may_stay && found.is_superset(expected) {
        Ok(())
    } else {
        Err(format!(
            "streams are left over or missing: {found:?}, wanted {expected:?}"
        ))
    }
}

/// Checks the reason of a refused undo: something is closed.
///
/// # Errors
/// When nothing is closed.
pub(super) async fn check_pivot_behind(simulation: &Simulation<'_>) -> Result<(), String> {
    check_violations(simulation)?;
    for (object, _) in &simulation.scenario.objects {
        let (source, _) = reversal::closing(simulation, object).await?;
        let cells = simulation.place.cells(&source).await?;
        let last = cells.last().map(|cell| &cell.header.kind);
        if matches!(last, Some(CellKind::Close(_))) {
            return Ok(());
        }
    }
    Err("undoing is refused, and nothing is closed".to_owned())
}
