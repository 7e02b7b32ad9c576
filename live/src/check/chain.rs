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

use super::Images;

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

    /// I4: what was copied is the image of all that the stream before held.
    pub(super) fn check_copies(&self, images: Images<'_>) -> Result<()> {
        for pair in self.0.windows(2) {
            let [from, to] = pair else { continue };
            let hop = || format!("I4: {} is no copy of {}", to.stream, from.stream);
            from.is_copied_to(to, images).with_context(hop)?;
        }
        Ok(())
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
    /// Whether a migration wrote it: then appends of retired schemas are stored as their images.
    pub(super) fn is_target(&self) -> bool {
        self.origin.is_some()
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

    fn is_copied_to(&self, to: &Self, images: Images<'_>) -> Result<()> {
        let origin = to
            .origin
            .as_ref()
            .context("it does not say where it comes from")?;
        ensure!(
            origin.fingerprint == images.mapper.fingerprint(),
            "it went through another transformation: {}",
            origin.fingerprint
        );
        let counted = self.close.as_ref().map(|close| close.events.0 as usize);
        ensure!(
            counted == Some(self.events.len()),
            "the Close counts {counted:?} events, there are {}",
            self.events.len()
        );
        let mut copies = to.events.iter().take(to.copied);
        for (revision, event) in self.events.iter().enumerate() {
            for image in images.of(revision, event)? {
                let copy = copies.next().with_context(|| {
                    format!("the image of revision {revision} is missing: {}", image.id)
                })?;
                ensure!(
                    *copy == image,
                    "the image of revision {revision} should be {image:?} and is {copy:?}"
                );
            }
        }
        match copies.next() {
            Some(extra) => bail!("an event is the image of none: {}", extra.id),
            None => Ok(()),
        }
    }
}
