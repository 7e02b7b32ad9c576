//! User-defined checks of a target against its source.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::cutover::attempt::Attempt;
use crate::cutover::source::originals::Originals;
use crate::error::Result;
use crate::event::{Event, Revision};
use crate::id::{ObjectId, StreamRef};
use crate::protocol::decisions::Verified;
use crate::store::{EventStoreExt as _, PageLimit, ReadFrom, Stores};

/// A user-defined comparison of a target with its source, before the cutover.
#[async_trait]
pub trait VerificationCheck: Send + Sync + fmt::Debug + 'static {
    /// Returns the check's name, for reports.
    fn name(&self) -> &str;

    /// Compares the streams.
    ///
    /// # Errors
    /// The reason why the target must not replace the source.
    async fn check(&self, streams: &ComparedStreams) -> std::result::Result<(), String>;
}

/// A source and its target, as input of a check.
#[derive(Debug, Clone)]
pub struct ComparedStreams {
    stores: Stores,
    /// The originals that precede the source's events in the target of a reverse migration.
    originals: Option<Arc<Originals>>,
    /// The object.
    pub object: ObjectId,
    /// The source.
    pub source: StreamRef,
    /// The target.
    pub target: StreamRef,
    /// Number of events of the source that are compared.
    pub source_events: Revision,
    /// Number of events of the target that are compared.
    pub target_events: Revision,
}

impl ComparedStreams {
    pub(crate) fn new(stores: &Stores, attempt: &Attempt, compared: Verified) -> Self {
        Self {
            stores: stores.read_only(),
            originals: attempt.originals.clone(),
            object: attempt.object.clone(),
            source: attempt.source.clone(),
            target: attempt.target.clone(),
            source_events: compared.source_events,
            target_events: compared.target_events,
        }
    }

    /// Returns the source's events, in order. In a reverse migration: the originals, then the
    /// events appended to the source since.
    pub fn source_events(&self) -> BoxStream<'static, Result<Event>> {
        use futures::StreamExt as _;
        let Some(originals) = &self.originals else {
            return self.events(&self.source, Revision::START, self.source_events);
        };
        let restored = originals.events.min(self.source_events);
        let first = self.events(&originals.stream, Revision::START, restored);
        let since = Revision(self.source_events.0.saturating_sub(originals.events.0));
        let from = originals.continuation_events;
        first.chain(self.events(&self.source, from, since)).boxed()
    }

    /// Returns the target's events, in order.
    pub fn target_events(&self) -> BoxStream<'static, Result<Event>> {
        self.events(&self.target, Revision::START, self.target_events)
    }

    fn events(
        &self,
        stream: &StreamRef,
        from: Revision,
        count: Revision,
    ) -> BoxStream<'static, Result<Event>> {
        use futures::StreamExt as _;
        let store = match self.stores.of(stream) {
            Ok(store) => Arc::clone(store),
            Err(unknown) => return futures::stream::iter([Err(unknown)]).boxed(),
        };
        let cells = store.cells(
            stream.stream.clone(),
            ReadFrom::Revision(from),
            PageLimit::default(),
        );
        let count = usize::try_from(count.0).unwrap_or(usize::MAX);
        cells
            .map_ok(move |cell| {
                let before = from.0.saturating_sub(cell.header.first_revision.0);
                let before = usize::try_from(before).unwrap_or(usize::MAX);
                let events = cell.events.into_iter().skip(before);
                futures::stream::iter(events).map(|e| Ok(e.event))
            })
            .try_flatten()
            .take(count)
            .boxed()
    }
}

type CheckFn =
    dyn Fn(ComparedStreams) -> BoxFuture<'static, std::result::Result<(), String>> + Send + Sync;

/// A check made of a closure.
#[derive(Clone)]
pub(crate) struct FunctionCheck {
    name: String,
    check: Arc<CheckFn>,
}

impl FunctionCheck {
    pub(crate) fn new<F, Fut>(name: impl Into<String>, check: F) -> Self
    where
        F: Fn(ComparedStreams) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::result::Result<(), String>> + Send + 'static,
    {
        let check = move |streams| -> BoxFuture<'static, _> { Box::pin(check(streams)) };
        Self {
            name: name.into(),
            check: Arc::new(check),
        }
    }
}

impl fmt::Debug for FunctionCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionCheck")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl VerificationCheck for FunctionCheck {
    fn name(&self) -> &str {
        &self.name
    }

    async fn check(&self, streams: &ComparedStreams) -> std::result::Result<(), String> {
        (self.check)(streams.clone()).await
    }
}
