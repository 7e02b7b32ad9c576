//! Reading the target of a migration in the source's place ([R15](crate::protocol#r15)).

use std::ops::Range;

use crate::RollingHash;
use crate::error::Result;
use crate::event::{Event, Position, Revision};
use crate::id::ObjectId;
use crate::object::{KnownStream, chain};
use crate::router::client::ObjectClient;
use crate::router::phases::known::Seen;
use crate::store::{Cell, CellKind, ReadFrom};
use crate::transform::Mapper;

/// Who takes the events, one by one.
type Sink<'a> = dyn FnMut(Event) + Send + 'a;

impl ObjectClient {
    /// Hands over the image of the source's events up to its tail h, from the target as far as that
    /// covers them, and answers (source, h). Nothing, after any number of events, when the target
    /// cannot stand in for the source: then the source must be read.
    ///
    /// What the target shows of the source is added to what is known of it.
    ///
    /// # Errors
    /// Those of the stores; they too leave the source to be read.
    pub(in crate::router) async fn dual_read(
        &self,
        known: &mut KnownStream,
        seen: &Seen,
        sink: &mut Sink<'_>,
    ) -> Result<Option<Position>> {
        let source = &seen.entry.source;
        let Some(h) = self.open_end(known, seen).await? else {
            return Ok(None);
        };
        let Some(origin) = self.target_origin(seen).await? else {
            return Ok(None);
        };
        let mapper = self.transformers.of(&origin.fingerprint);
        let covered = self.covered(seen).await?;
        if let Some(covered) = covered.filter(|covered| *covered > h) {
            // copied since h was read, or lost from the source
            known.raise(covered);
            self.open_end(known, seen).await?;
        }
        if covered.is_none_or(|covered| covered < h && mapper.is_none()) {
            return Ok(None);
        }
        let Some(covered) = self.read_target(seen, h, sink).await? else {
            return Ok(None);
        };
        let complete = match mapper {
            _ if covered == h => true,
            Some(mapper) => {
                self.transform_rest(known.object(), seen, covered..h, mapper, sink)
                    .await?
            }
            None => false,
        };
        Ok(complete.then(|| Position {
            stream: source.stream.clone(),
            revision: h,
        }))
    }

    /// The hash over what the target holds of the source's first h events; nothing where it does
    /// not hold all of them.
    pub(in crate::router) async fn hash_target(
        &self,
        seen: &Seen,
        h: Revision,
    ) -> Result<Option<RollingHash>> {
        if self.covered(seen).await?.is_none_or(|covered| covered < h) {
            return Ok(None);
        }
        let mut hash = RollingHash::new();
        let mut add = |event: Event| hash.add(&event);
        let covered = self.read_target(seen, h, &mut add).await?;
        Ok((covered == Some(h)).then_some(hash))
    }

    /// The end of the source, while it is open and this target was not fenced off: one that was is
    /// being discarded, and what it holds is the image under a transformation that was taken back.
    async fn open_end(&self, known: &KnownStream, seen: &Seen) -> Result<Option<Revision>> {
        let entry = &seen.entry;
        let store = self.reader.stores().of(&entry.source)?;
        let tail = store.tail(&entry.source.stream).await?;
        known.check(&**store, (&tail).into())?;
        if tail.close().is_some() {
            return Ok(None);
        }
        let controls = chain::control_cells(store, &entry.source, &tail).await?;
        let target = &entry.target.stream;
        let is_fence = |c: &CellKind| matches!(c, CellKind::Fence(f) if f.target == *target);
        let fenced = controls.iter().any(is_fence);
        Ok((!fenced).then(|| tail.next_revision()))
    }

    /// How many source events the target is complete for; nothing where applications write to it.
    async fn covered(&self, seen: &Seen) -> Result<Option<Revision>> {
        let target = &seen.entry.target;
        let store = self.reader.stores().of(target)?;
        let tail = store.tail(&target.stream).await?;
        Ok(tail.last.and_then(|last| last.cursor()))
    }

    /// Hands over the target's events that stem from source events before h. Returns how many of
    /// those the target is complete for: h, or less where it ends before. Returns nothing where a
    /// cell was not written by a copier.
    async fn read_target(
        &self,
        seen: &Seen,
        h: Revision,
        sink: &mut Sink<'_>,
    ) -> Result<Option<Revision>> {
        let target = &seen.entry.target;
        let store = self.reader.stores().of(target)?;
        let mut from = ReadFrom::Seq(0);
        let mut covered = Revision::START;
        loop {
            let page = store.read(&target.stream, from, self.reader.page()).await?;
            let Some(last) = page.cells.last().map(|cell| cell.header.seq) else {
                return Ok(Some(covered));
            };
            for cell in page.cells {
                let Some(cursor) = cell.header.cursor() else {
                    return Ok(None);
                };
                if !hand_over(cell, h, sink) {
                    return Ok(None);
                }
                covered = cursor.min(h);
                if covered == h {
                    return Ok(Some(h));
                }
            }
            if page.at_end {
                return Ok(Some(covered));
            }
            from = ReadFrom::Seq(last + 1);
        }
    }

    /// Hands over what the source's events of these revisions are transformed to. Returns whether
    /// all of them were there and could be transformed.
    async fn transform_rest(
        &self,
        object: &ObjectId,
        seen: &Seen,
        revisions: Range<Revision>,
        mapper: &Mapper,
        sink: &mut Sink<'_>,
    ) -> Result<bool> {
        let source = &seen.entry.source;
        let store = self.reader.stores().of(source)?;
        let Range { start, end } = revisions;
        let mut next = start;
        while next < end {
            let from = ReadFrom::Revision(next);
            let page = store.read(&source.stream, from, self.reader.page()).await?;
            let before = next;
            for cell in page.cells {
                let events = (cell.header.first_revision.0..).zip(cell.events);
                for (revision, stored) in events.filter(|(revision, _)| *revision < end.0) {
                    if revision < next.0 {
                        continue;
                    }
                    if revision > next.0 {
                        return Ok(false);
                    }
                    let Ok(mapped) = mapper.map_owned(object, next, stored.event) else {
                        return Ok(false);
                    };
                    mapped.outputs.into_iter().for_each(&mut *sink);
                    next = next.plus(1);
                }
            }
            if next == before {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Hands over the events of a target's cell that stem from source events before h. `false` for a
/// cell in which one does not say what it stems from.
fn hand_over(cell: Cell, h: Revision, sink: &mut Sink<'_>) -> bool {
    for stored in cell.events {
        match stored.source_revision {
            None => return false,
            Some(revision) if revision < h => sink(stored.event),
            Some(_) => {}
        }
    }
    true
}
