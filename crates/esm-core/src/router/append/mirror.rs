//! The mirror: what a source has acknowledged is written to the target too
//! ([R16](crate::protocol#r16)).

use crate::error::Result;
use crate::event::Event;
use crate::id::ObjectId;
use crate::router::client::ObjectClient;
use crate::router::phases::known::{Mirroring, Phases, Seen};
use crate::store::{Append, CellEvent, CellHeader, EventStoreExt as _, Origin};
use crate::transform::{Fate, Mapper};

/// A cell that the source has acknowledged.
pub(in crate::router) struct Acknowledged<'a> {
    pub(in crate::router) object: &'a ObjectId,
    pub(in crate::router) header: &'a CellHeader,
    pub(in crate::router) events: &'a [CellEvent],
}

impl ObjectClient {
    /// Mirrors a cell that the source has acknowledged, if the rule permits it. Whatever comes of
    /// it is only counted: nothing rests on it, the copier repairs.
    pub(in crate::router) async fn mirror(
        &self,
        phases: &Phases,
        seen: &Seen,
        cell: Acknowledged<'_>,
    ) {
        let options = &phases.options;
        if options.mirroring == Mirroring::Off || !seen.is_mirrored() {
            return;
        }
        let mirrored = self.try_mirror(seen, options.mirroring, &cell);
        let counter = match (self.environment.within(options.mirror_deadline, mirrored)).await {
            Some(Ok(true)) => &self.counters.mirrors_written,
            Some(Ok(false)) => &self.counters.mirrors_skipped,
            Some(Err(error)) => {
                tracing::debug!(object = %cell.object, %error, "a mirror failed");
                &self.counters.mirrors_failed
            }
            None => &self.counters.mirrors_failed,
        };
        counter.add(1);
    }

    /// Whether the cell was mirrored; not where the rule says no.
    async fn try_mirror(
        &self,
        seen: &Seen,
        mirroring: Mirroring,
        cell: &Acknowledged<'_>,
    ) -> Result<bool> {
        let target = &seen.entry.target;
        let Some(origin) = self.target_origin(seen).await? else {
            return Ok(false);
        };
        let Some(mapper) = self.transformers.of(&origin.fingerprint) else {
            return Ok(false);
        };
        let Some(events) = image(mapper, origin, mirroring, cell) else {
            return Ok(false);
        };
        let store = self.reader.stores().of(target)?;
        let tail = store.tail(&target.stream).await?;
        // Complete for exactly what came before this cell. Never the first cell: an empty target is
        // not begun yet, or was fenced and discarded. An application's cell has no cursor: it is live.
        if tail.last.as_ref().and_then(CellHeader::cursor) != Some(cell.header.first_revision) {
            return Ok(false);
        }
        let append = Append {
            commit: self.environment.commit_id(),
            origin: None,
            cursor: Some(cell.header.next_revision()),
            events,
        };
        store.append(&target.stream, &tail, append).await?;
        Ok(true)
    }

    /// What the target's first cell says, if it is the one that the entry speaks of. Not of a
    /// migration back, whose target holds and counts more than what the source becomes
    /// ([R18](crate::protocol#r18)).
    pub(in crate::router) async fn target_origin<'s>(
        &self,
        seen: &'s Seen,
    ) -> Result<Option<&'s Origin>> {
        let entry = &seen.entry;
        let read = || async {
            let store = self.reader.stores().of(&entry.target)?;
            match store.cell(&entry.target.stream, 0).await? {
                Some(first) => Ok(first.header.origin().cloned()),
                // not begun yet: to be asked again
                None => Err(crate::Error::not_found(format!(
                    "the target is not begun: {}",
                    entry.target
                ))),
            }
        };
        let origin = match seen.origin.get_or_try_init(read).await {
            Err(error) if *error.kind() == crate::ErrorKind::NotFound => return Ok(None),
            origin => origin?.as_ref(),
        };
        let speaks_of_it = |o: &&Origin| {
            o.source == entry.source && o.migration == entry.migration && o.restores.is_none()
        };
        Ok(origin.filter(speaks_of_it))
    }
}

/// What a copier would write of a cell; nothing where it is left to the copier: an event fails,
/// becomes several or none where that is not mirrored, or retires a schema that the target does not
/// name yet, which takes another attempt ([R11](crate::protocol#r11)).
fn image(
    mapper: &Mapper,
    origin: &Origin,
    mirroring: Mirroring,
    cell: &Acknowledged<'_>,
) -> Option<Vec<CellEvent>> {
    let mut image = Vec::with_capacity(cell.events.len());
    for (n, CellEvent { event, .. }) in (0..).zip(cell.events) {
        let revision = cell.header.first_revision.plus(n);
        let mapped = mapper.map(cell.object, revision, event).ok()?;
        if mirroring == Mirroring::OneToOne && mapped.outputs.len() != 1 {
            return None;
        }
        if mapped.fate != Fate::Unchanged && !origin.retired.contains(&event.schema()) {
            return None;
        }
        image.extend(mapped.outputs.into_iter().map(|event: Event| CellEvent {
            event,
            source_revision: Some(revision),
        }));
    }
    Some(image)
}
