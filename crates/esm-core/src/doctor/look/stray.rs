//! A stream that the chain of no object contains.

use crate::doctor::finding::{Finding, FindingKind, Remedy, Subject};
use crate::doctor::look::object::NEXT_MIGRATION;
use crate::doctor::look::stream::is_damage;
use crate::doctor::service::Doctor;
use crate::error::{ErrorKind, Result};
use crate::id::{ObjectId, ObjectKey, ObjectName, StreamId, StreamRef};
use crate::object::chain;
use crate::store::{CellHeader, CellKind, EventStoreExt as _, Numbers, Origin};

/// How the fingerprint of a restored stream begins.
const RESTORED: &str = "restore:";

/// Examines a stream of the home store that was in no chain when the objects were examined.
///
/// # Errors
/// Those of the stores, except for damage.
pub(in crate::doctor) async fn examine(
    doctor: &Doctor,
    stream: &StreamId,
    cells: Numbers,
    place: &str,
) -> Result<Option<Finding>> {
    let home = doctor.stores.home();
    let stream = StreamRef::new(home.id(), stream.clone());
    let first = match first_cell(doctor, &stream).await? {
        First::Cell(header) => *header,
        First::Damaged(error) => return Ok(Some(Finding::damaged_stream(&stream, error))),
        First::Absent => return without_first(doctor, &stream, cells, place).await,
    };
    match first.origin() {
        Some(origin) => target(doctor, &stream, origin).await,
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
        Err(error) if is_damage(&error) => Ok(First::Damaged(error)),
        Err(error) => Err(error),
    }
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
        Err(error) if !is_damage(&error) => return Err(error),
        _ => (FindingKind::DamagedStream, Remedy::PutBack),
    };
    let detail = format!("the first cell is absent although cell {last} is there: {place}");
    Ok(Some(Finding::new(kind, subject, detail, remedy)))
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
    let tail = match store.tail(&source.stream).await {
        Ok(tail) => tail,
        // the source is examined by itself
        Err(error) if is_damage(&error) => return Ok(None),
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
        Err(error) if is_damage(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let is_fenced = controls
        .iter()
        .any(|kind| matches!(kind, CellKind::Fence(fence) if fence.target == stream.stream));
    if let Some(backup) = origin.fingerprint.as_str().strip_prefix(RESTORED)
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

/// The first stream of an object.
async fn original(
    doctor: &Doctor,
    stream: &StreamRef,
    first: &CellHeader,
) -> Result<Option<Finding>> {
    let object = object_of(&stream.stream);
    if let Some(object) = &object {
        match doctor.documents.find(object).await {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(None),
            Err(error) if is_damage(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let subject = match &object {
        Some(object) => Subject::stream_of(object, stream),
        None => Subject::Stream(stream.clone()),
    };
    let is_closed = match doctor.stores.of(stream)?.tail(&stream.stream).await {
        Ok(tail) => tail.close().is_some(),
        Err(error) if is_damage(&error) => {
            return Ok(Some(Finding::damaged_stream(stream, error)));
        }
        Err(error) if *error.kind() == ErrorKind::UnknownStore => false,
        Err(error) => return Err(error),
    };
    let (kind, remedy) = if is_closed {
        (FindingKind::MissingDocument, Remedy::PutBack)
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

/// The object whose first stream has this id: its name and its key are in the id, with a `-` between
/// them, and the id's hash says which `-`.
fn object_of(stream: &StreamId) -> Option<ObjectId> {
    let (text, _) = stream.as_str().rsplit_once('.')?;
    text.match_indices('-')
        .filter_map(|(at, _)| {
            let name = ObjectName::new(&text[..at]).ok()?;
            Some(ObjectId::new(name, ObjectKey::new(&text[at + 1..]).ok()?))
        })
        .find(|object| StreamId::first(object) == *stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_of_a_first_stream_is_found_by_its_id() {
        for text in ["order/1", "a-b/c", "a/b-c", "a-b/c-d.e", "é/x/y"] {
            let object: ObjectId = text.parse().unwrap();
            assert_eq!(object_of(&StreamId::first(&object)), Some(object));
        }
        let other = StreamId::new("a-b.0011223344556677").unwrap();
        assert_eq!(object_of(&other), None);
    }
}
