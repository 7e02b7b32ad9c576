//! A stream that the chain of no object contains.

use crate::doctor::finding::{Finding, FindingKind, Remedy, Subject};
use crate::doctor::look::object::NEXT_MIGRATION;
use crate::doctor::service::Doctor;
use crate::error::{ErrorKind, Result};
use crate::id::{MigrationId, ObjectId, StreamId, StreamRef};
use crate::object::{chain, owner};
use crate::store::{CellHeader, CellKind, EventStoreExt as _, Numbers, Origin};

/// Examines a stream of the home store that was in no chain when the objects were examined. `removed`
/// says whose target it was if a Fence names it.
///
/// # Errors
/// Those of the stores, except for damage.
pub(in crate::doctor) async fn examine(
    doctor: &Doctor,
    stream: &StreamId,
    cells: Numbers,
    place: &str,
    removed: Option<&(ObjectId, MigrationId)>,
) -> Result<Option<Finding>> {
    let home = doctor.stores.home();
    let stream = StreamRef::new(home.id(), stream.clone());
    let first = match first_cell(doctor, &stream).await? {
        First::Cell(header) => *header,
        First::Damaged(error) => return Ok(Some(Finding::damaged_stream(&stream, error))),
        First::Absent => match (removed, cells.last) {
            (Some(removed), Some(last)) => {
                return written_late(doctor, &stream, last, removed).await;
            }
            _ => return without_first(doctor, &stream, cells, place).await,
        },
    };
    match first.origin() {
        Some(origin) => {
            let found = target(doctor, &stream, origin).await?;
            Ok(found.map(|finding| finding.at_cell(Some(0))))
        }
        None => original(doctor, &stream, &first).await,
    }
}

enum First {
    Cell(Box<CellHeader>),
    Absent,
    Damaged(crate::error::Error),
}

async fn first_cell(doctor: &Doctor, stream: &StreamRef) -> Result<First> {
    let store = doctor.stores.of(stream)?;
    match store.cell(&stream.stream, 0).await {
        Ok(Some(cell)) => Ok(First::Cell(Box::new(cell.header))),
        Ok(None) => Ok(First::Absent),
        Err(error) if error.is_damage() => Ok(First::Damaged(error)),
        Err(error) => Err(error),
    }
}

/// A target that a copier that was paused wrote to after it was removed
/// ([R17](crate::protocol#r17)).
async fn written_late(
    doctor: &Doctor,
    stream: &StreamRef,
    last: u64,
    (object, migration): &(ObjectId, MigrationId),
) -> Result<Option<Finding>> {
    // it may have been removed since it was listed
    let store = doctor.stores.of(stream)?;
    match store.cell(&stream.stream, last).await {
        Ok(None) => return Ok(None),
        Err(error) if !error.is_damage() => return Err(error),
        Ok(Some(_)) | Err(_) => {}
    }
    // whoever undoes a migration is removing it
    if !doctor.has_ended(*migration).await? {
        return Ok(None);
    }
    let detail = format!(
        "a process that was paused wrote to the target of migration {migration} after it was removed"
    );
    let (kind, subject) = (
        FindingKind::FencedTarget,
        Subject::stream_of(object, stream),
    );
    let finding = Finding::new(kind, subject, detail, NEXT_MIGRATION);
    Ok(Some(finding.at_cell(Some(last))))
}

/// A stream without its first cell. It was discarded meanwhile, or a copier that was paused put a cell
/// behind the discard ([R17](crate::protocol#r17)), or cells were lost.
async fn without_first(
    doctor: &Doctor,
    stream: &StreamRef,
    cells: Numbers,
    place: &str,
) -> Result<Option<Finding>> {
    let subject = Subject::Stream(stream.clone());
    let Some(last) = cells.last else {
        let detail = format!("hint of a stream that has no cells: {place}");
        let remedy = Remedy::Nothing("it says nothing");
        return Ok(Some(Finding::new(
            FindingKind::UnknownFile,
            subject,
            detail,
            remedy,
        )));
    };
    let store = doctor.stores.of(stream)?;
    let (kind, remedy) = match store.cell(&stream.stream, last).await {
        Ok(None) => return Ok(None),
        Ok(Some(cell)) if cell.header.cursor().is_some() => {
            (FindingKind::OrphanedTarget, NEXT_MIGRATION)
        }
        Err(error) if !error.is_damage() => return Err(error),
        _ => (FindingKind::DamagedStream, Remedy::PutBack),
    };
    let detail = format!("the first cell is absent although cell {last} is there: {place}");
    let finding = Finding::new(kind, subject, detail, remedy);
    Ok(Some(finding.at_cell(Some(last))))
}

/// The target of an attempt.
async fn target(doctor: &Doctor, stream: &StreamRef, origin: &Origin) -> Result<Option<Finding>> {
    let subject = Subject::Stream(stream.clone());
    let finding = |kind, detail: String, remedy| Some(Finding::new(kind, subject, detail, remedy));
    let (source, migration) = (&origin.source, origin.migration);
    let Ok(store) = doctor.stores.of(source) else {
        let detail = format!("it continues a stream of a store that is not known here: {source}");
        return Ok(finding(
            FindingKind::UnknownStore,
            detail,
            Remedy::NameStore,
        ));
    };
    if !is_of_this_home(doctor, source).await? {
        return Ok(None);
    }
    let tail = match store.tail(&source.stream).await {
        Ok(tail) => tail,
        // the source is examined by itself
        Err(error) if error.is_damage() => return Ok(None),
        Err(error) => return Err(error),
    };
    let of = format!("target of migration {migration} of {}", source.stream);
    if let Some(close) = tail.close() {
        // in the chain of an object, whose document is missing or has just been written
        if close
            .target
            .as_ref()
            .is_some_and(|target| target.stream == stream.stream)
        {
            return Ok(None);
        }
        let detail = format!("{of}, which was closed to another");
        return Ok(finding(
            FindingKind::SupersededTarget,
            detail,
            NEXT_MIGRATION,
        ));
    }
    let controls = match chain::control_cells(store, source, &tail).await {
        Ok(controls) => controls,
        Err(error) if error.is_damage() => return Ok(None),
        Err(error) => return Err(error),
    };
    let is_fenced = controls
        .iter()
        .any(|kind| matches!(kind, CellKind::Fence(fence) if fence.target == stream.stream));
    if let Some(backup) = origin.restored_from()
        && !is_fenced
    {
        let detail = format!(
            "restore of backup {backup} in the place of {}",
            source.stream
        );
        let remedy = Remedy::RestoreAgain(backup.to_owned());
        return Ok(finding(FindingKind::UnfinishedRestore, detail, remedy));
    }
    if !doctor.has_ended(migration).await? {
        // it is being filled, or the migration is found to be unfinished
        return Ok(None);
    }
    let (kind, what) = if is_fenced {
        (FindingKind::FencedTarget, "which was undone")
    } else {
        (
            FindingKind::OrphanedTarget,
            "which has ended or has no journal",
        )
    };
    Ok(finding(kind, format!("{of}, {what}"), NEXT_MIGRATION))
}

/// Whether a stream belongs to an object whose document is here. Else its migrations have their journals
/// elsewhere: also a stream of this store may continue an object of another one.
async fn is_of_this_home(doctor: &Doctor, source: &StreamRef) -> Result<bool> {
    let is_home = doctor.stores.of(source)?.id() == doctor.stores.home().id();
    if is_home && source.stream.object_of_first().is_some() {
        return Ok(true);
    }
    let Some(object) = owner::object_of(&doctor.stores, source).await? else {
        return Ok(false);
    };
    let is_of_it = async {
        let Some(found) = doctor.documents.find(&object).await? else {
            return Ok(false);
        };
        let document = doctor.documents.whole(found.document).await?;
        owner::has_stream(&doctor.stores, &document, source).await
    };
    match is_of_it.await {
        // the object is examined by itself
        Err(error) if error.is_damage() || *error.kind() == ErrorKind::UnknownStore => Ok(false),
        is_of_it => is_of_it,
    }
}

/// The first stream of an object.
async fn original(
    doctor: &Doctor,
    stream: &StreamRef,
    first: &CellHeader,
) -> Result<Option<Finding>> {
    let object = stream.stream.object_of_first();
    if let Some(object) = &object {
        match doctor.documents.find(object).await {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(None),
            Err(error) if error.is_damage() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let subject = match &object {
        Some(object) => Subject::stream_of(object, stream),
        None => Subject::Stream(stream.clone()),
    };
    let is_closed = match doctor.stores.of(stream)?.tail(&stream.stream).await {
        Ok(tail) => tail.close().is_some(),
        Err(error) if error.is_damage() => {
            return Ok(Some(Finding::damaged_stream(stream, error)));
        }
        Err(error) if *error.kind() == ErrorKind::UnknownStore => false,
        Err(error) => return Err(error),
    };
    let (kind, remedy) = if is_closed {
        (FindingKind::MissingDocument, Remedy::Rebuild)
    } else {
        let again = "importing or creating the object again finishes what was interrupted";
        (FindingKind::StreamWithoutDocument, Remedy::Later(again))
    };
    let detail = format!(
        "no document leads to the stream, which begins with commit {}",
        first.commit
    );
    Ok(Some(Finding::new(kind, subject, detail, remedy)))
}
