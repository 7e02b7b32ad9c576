//! An object's streams, from the first to the one that is open, read from the raw cells.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use esm_core::event::{Event, Position};
use esm_core::id::{ObjectId, StreamId};
use esm_core::store::{
    CellKind, Close, EventStore, EventStoreExt as _, Origin, PageLimit, ReadFrom,
};
use esm_objectstore::Store;
use futures::TryStreamExt as _;

use super::{Images, Way};

/// An object's streams.
#[derive(Debug)]
pub(super) struct Chain(Vec<Link>);

/// One of them.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) stream: StreamId,
    pub(super) events: Vec<Event>,
    /// How many of them a migration copied; applications wrote the others.
    pub(super) copied: usize,
    origin: Option<Origin>,
    close: Option<Close>,
}

impl Chain {
    pub(super) async fn read(store: &Store, object: &ObjectId) -> Result<Self> {
        let events = store.event_store();
        let mut links = vec![Link::read(&events, StreamId::first(object), 0).await?];
        while let Some(close) = links.last().and_then(|link| link.close.clone()) {
            let target = close.target.context("the object was deleted")?;
            ensure!(
                links.iter().all(|link| link.stream != target.stream),
                "the chain is a circle at {target}"
            );
            let copied = close.target_events.0 as usize;
            links.push(Link::read(&events, target.stream, copied).await?);
        }
        Ok(Self(links))
    }

    pub(super) fn links(&self) -> &[Link] {
        &self.0
    }

    pub(super) fn end(&self) -> &Link {
        &self.0[self.0.len() - 1]
    }

    /// I4: what was copied is the image of all that the stream before held; or, after a rollback, what
    /// the stream before that held, and the images of what has come since (R18).
    pub(super) fn check_copies(&self, images: Images<'_>) -> Result<()> {
        for at in 1..self.0.len() {
            let (from, to) = (&self.0[at - 1], &self.0[at]);
            let hop = || format!("I4: {} is no copy of {}", to.stream, from.stream);
            let copied = self.copied(at, images).and_then(|copied| {
                from.is_counted()?;
                to.begins_with(&copied)
            });
            copied.with_context(hop)?;
        }
        Ok(())
    }

    /// What a stream is to begin with.
    fn copied(&self, at: usize, images: Images<'_>) -> Result<Vec<Event>> {
        let (from, to) = (&self.0[at - 1], &self.0[at]);
        let origin = to.origin.as_ref();
        let origin = origin.context("it does not say where it comes from")?;
        let way = to.way().context("it does not say where it comes from")?;
        ensure!(
            *origin.appends_through() == images.mapper(way).fingerprint(),
            "it went through another transformation: {}",
            origin.fingerprint
        );
        if way == Way::Up {
            return images.all(way, &from.events);
        }
        let originals = at.checked_sub(2).map(|at| &self.0[at]);
        let originals = originals.context("it restores what never was")?;
        let mut copied = originals.events.clone();
        copied.extend(images.all(way, &from.events[from.copied..])?);
        Ok(copied)
    }

    /// The stream that a position counts in.
    pub(super) fn of(&self, position: &Position) -> Result<&Link> {
        let found = self.0.iter().find(|link| link.stream == position.stream);
        found.with_context(|| format!("no stream of the object: {}", position.stream))
    }

    /// The event after a position, and whether an application put it there. A position at the end
    /// of a closed stream lies at where its continuation began.
    pub(super) fn after(&self, position: &Position) -> Result<Option<(&Event, bool)>> {
        let links = self.0.iter();
        let mut links = links.skip_while(|link| link.stream != position.stream);
        let mut revision = position.revision.0 as usize;
        for link in &mut links {
            if revision < link.events.len() {
                return Ok(Some((&link.events[revision], revision >= link.copied)));
            }
            match &link.close {
                Some(close) if revision == link.events.len() => {
                    revision = close.target_events.0 as usize;
                }
                _ => return Ok(None),
            }
        }
        bail!("no stream of the object: {}", position.stream)
    }
}

impl Link {
    /// Which transformation it went through, and appends of retired schemas go through; none for
    /// what no migration wrote.
    pub(super) fn way(&self) -> Option<Way> {
        let origin = self.origin.as_ref()?;
        let restored = origin.restores.is_some();
        Some(if restored { Way::Down } else { Way::Up })
    }

    async fn read(store: &Arc<dyn EventStore>, stream: StreamId, copied: usize) -> Result<Self> {
        let mut link = Self {
            stream: stream.clone(),
            events: Vec::new(),
            copied,
            origin: None,
            close: None,
        };
        let store = Arc::clone(store);
        let mut cells = store.cells(stream, ReadFrom::Seq(0), PageLimit::default());
        while let Some(cell) = cells.try_next().await? {
            match cell.header.kind {
                CellKind::Close(close) => link.close = Some(close),
                CellKind::Data { origin, .. } if cell.header.seq == 0 => link.origin = origin,
                _ => {}
            }
            link.events.extend(cell.events.into_iter().map(|e| e.event));
        }
        Ok(link)
    }

    fn is_counted(&self) -> Result<()> {
        let counted = self.close.as_ref().map(|close| close.events.0 as usize);
        ensure!(
            counted == Some(self.events.len()),
            "the Close counts {counted:?} events, there are {}",
            self.events.len()
        );
        Ok(())
    }

    fn begins_with(&self, copied: &[Event]) -> Result<()> {
        ensure!(
            self.copied == copied.len(),
            "{} events were copied, {} should have been",
            self.copied,
            copied.len()
        );
        for (revision, (event, copy)) in copied.iter().zip(&self.events).enumerate() {
            ensure!(
                event == copy,
                "at revision {revision} should stand {event:?}, and {copy:?} does"
            );
        }
        ensure!(
            self.events.len() >= copied.len(),
            "only {} of {} copied events are there",
            self.events.len(),
            copied.len()
        );
        Ok(())
    }
}
