//! Stores that do not keep what a migration rests on: each is found out and refused by name.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::event::Event;
use esm_core::id::{ObjectId, StreamId};
use esm_core::migration::MigrationService;
use esm_core::store::{EventStore, Shortcoming, Tail};
use esm_core::{Error, ErrorKind, Result};
use esm_foreign::{
    CloseProof, Entry, Finding, NativeStore, Profile, Recorded, Slice, SliceLimit, adopt,
};
use esm_testkit::environment;
use esm_testkit::memory::{MemoryNativeStore, MemoryWorld};

use super::fixture::{event, open, rules, stream};

/// What is wrong with an adapter, or with its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Appends whatever is expected.
    NoExpectation,
    /// Looks first and appends then, as two requests.
    LooksThenAppends,
    /// Refuses an append that is too late, with an error of another kind.
    AnotherError,
    /// Appends the entries of one append one by one, wherever there is room.
    OneByOne,
    LosesTheTime,
    LosesTheMark,
    /// Closes whatever is expected.
    ClosesWithoutExpectation,
    /// Appends the entry of a close as two requests.
    LooksThenCloses,
    /// Says that the store refuses appends after a close, and it does not.
    NobodyRefuses,
    /// Old writers are still at work.
    OldWritersAtWork,
    /// The adapter says itself that nothing keeps writers out.
    SaysSo,
}

#[derive(Debug, Clone)]
pub(crate) struct Deficient {
    inner: MemoryNativeStore,
    claimed: CloseProof,
    defect: Defect,
}

impl Deficient {
    /// What this native store holds, with this defect.
    pub(crate) fn new(native: &MemoryNativeStore, defect: Defect) -> Self {
        use CloseProof::{FormatMarker, Nothing, StoreRefuses};
        let (claimed, kept) = match defect {
            Defect::NobodyRefuses => (StoreRefuses, FormatMarker),
            Defect::OldWritersAtWork => (FormatMarker, Nothing),
            Defect::SaysSo => (Nothing, FormatMarker),
            _ => (FormatMarker, FormatMarker),
        };
        Self {
            inner: native.clone().with_profile(Profile::new(kept)),
            claimed,
            defect,
        }
    }

    async fn count(&self, stream: &StreamId) -> Result<u64> {
        let last = self.inner.last(stream).await?;
        Ok(last.map_or(0, |last| last.position + 1))
    }

    /// The check and the append as two requests.
    async fn look_then_append(&self, s: &StreamId, expected: u64, all: Vec<Entry>) -> Result<()> {
        if self.count(s).await? != expected {
            let conflict = ErrorKind::Conflict { actual: None };
            return Err(Error::new(conflict, "too late"));
        }
        self.append_anyhow(s, all).await
    }

    async fn append_anyhow(&self, stream: &StreamId, entries: Vec<Entry>) -> Result<()> {
        others_come_first().await;
        loop {
            let count = self.count(stream).await?;
            match self.inner.append(stream, count, entries.clone()).await {
                Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. }) => {}
                answer => return answer,
            }
        }
    }
}

/// Lets other tasks of this thread overtake, as requests do.
async fn others_come_first() {
    tokio::task::yield_now().await;
}

#[async_trait]
impl NativeStore for Deficient {
    fn profile(&self) -> Profile {
        Profile::new(self.claimed)
    }

    async fn read(&self, stream: &StreamId, from: u64, limit: SliceLimit) -> Result<Slice> {
        self.inner.read(stream, from, limit).await
    }

    async fn last(&self, stream: &StreamId) -> Result<Option<Recorded>> {
        self.inner.last(stream).await
    }

    async fn append(&self, stream: &StreamId, expected: u64, all: Vec<Entry>) -> Result<()> {
        others_come_first().await;
        match self.defect {
            Defect::NoExpectation => self.append_anyhow(stream, all).await,
            Defect::LooksThenAppends => self.look_then_append(stream, expected, all).await,
            Defect::AnotherError => self
                .inner
                .append(stream, expected, all)
                .await
                .map_err(|e| Error::invalid("constraint violated").with_source(e)),
            Defect::OneByOne => {
                let mut all = all.into_iter();
                let first = all.next().into_iter().collect();
                self.inner.append(stream, expected, first).await?;
                for entry in all {
                    self.append_anyhow(stream, vec![entry]).await?;
                }
                Ok(())
            }
            Defect::LosesTheTime | Defect::LosesTheMark => {
                let lossy = all.into_iter().map(|mut entry| {
                    match self.defect {
                        Defect::LosesTheTime => entry.event.time = None,
                        _ => entry.mark = None,
                    }
                    entry
                });
                self.inner.append(stream, expected, lossy.collect()).await
            }
            _ => self.inner.append(stream, expected, all).await,
        }
    }

    async fn close(&self, stream: &StreamId, expected: u64, entry: Entry) -> Result<()> {
        match self.defect {
            Defect::ClosesWithoutExpectation => self.append_anyhow(stream, vec![entry]).await,
            Defect::LooksThenCloses => self.look_then_append(stream, expected, vec![entry]).await,
            _ => self.append(stream, expected, vec![entry]).await,
        }
    }

    async fn append_as_old_writer(
        &self,
        stream: &StreamId,
        expected: Option<u64>,
        event: Event,
    ) -> Result<()> {
        self.inner
            .append_as_old_writer(stream, expected, event)
            .await
    }
}

/// What is found, and that a migration is refused with it before anything is touched.
async fn found(defect: Defect) -> Finding {
    let native = MemoryNativeStore::new(Profile::new(CloseProof::FormatMarker));
    let (id, written) = (stream("order-1"), vec![event("e", "Old").into()]);
    native.append(&id, 0, written).await.unwrap();
    let store = open(Deficient::new(&native, defect), 1).await;
    let finding = store.finding().cloned().unwrap();
    let world = MemoryWorld::new(environment(2));
    let (records, environment) = (world.records(), environment(3));
    let object: ObjectId = "order/1".parse().unwrap();
    let adopted = adopt(
        records.clone(),
        &*store,
        object.clone(),
        id.clone(),
        &environment,
    );
    adopted.await.unwrap();

    let events: Arc<dyn EventStore> = store.clone();
    let service = MigrationService::new(events, records, world.locks());
    let migration = || service.migrate(object.clone()).transform(rules());
    let refused = [
        migration().build().map(drop).unwrap_err(),
        migration().execute().await.map(drop).unwrap_err(),
    ];
    for refused in refused {
        assert_eq!(*refused.kind(), ErrorKind::Unsupported);
        let reason = finding.shortcoming.to_string();
        assert!(refused.to_string().contains(&reason), "{refused}");
        assert_eq!(refused.hint(), Some(finding.shortcoming.hint()));
    }
    // and where a caller continues all the same, the store itself refuses
    let tail = store.tail(&id).await.unwrap();
    let close = esm_core::store::Close {
        target: None,
        events: tail.next_revision(),
        target_events: tail.next_revision(),
        migration: environment.migration_id(),
        continues: true,
        target_last: None,
    };
    let closed = store
        .close(&id, &tail, environment.commit_id(), close)
        .await;
    assert_eq!(*closed.unwrap_err().kind(), ErrorKind::Unsupported);
    let append =
        esm_core::store::Append::events(environment.commit_id(), vec![event("x", "X").into()]);
    let appended = store.append(&stream("new"), &Tail::default(), append).await;
    let permitted = finding.shortcoming.permits_appends();
    assert_eq!(appended.is_ok(), permitted, "{appended:?}");
    // what it has can be read and moved elsewhere by hand
    assert_eq!(super::fixture::cells(&store, &id).await.len(), 1);
    finding
}

async fn assert_found(defect: Defect, shortcoming: Shortcoming, seen: &str) {
    let finding = found(defect).await;
    assert_eq!(
        finding.shortcoming, shortcoming,
        "{defect:?}: {}",
        finding.seen
    );
    assert!(finding.seen.contains(seen), "{defect:?}: {}", finding.seen);
}

#[tokio::test]
async fn appends_without_an_exact_expectation() {
    let inexact = Shortcoming::InexactAppends;
    assert_found(
        Defect::NoExpectation,
        inexact,
        "expects 0 of 3 entries succeeded",
    )
    .await;
    assert_found(
        Defect::LooksThenAppends,
        inexact,
        "of 8 appends of 2 entries",
    )
    .await;
    assert_found(
        Defect::AnotherError,
        inexact,
        "failed with Invalid instead of Conflict",
    )
    .await;
    assert_found(Defect::OneByOne, inexact, "odd ones one more").await;
}

#[tokio::test]
async fn events_that_change_on_the_way() {
    let changed = Shortcoming::ContentChanged;
    assert_found(Defect::LosesTheTime, changed, "these parts changed: time").await;
    assert_found(Defect::LosesTheMark, changed, "these parts changed: mark").await;
}

#[tokio::test]
async fn closes_that_are_not_atomic() {
    let not_atomic = Shortcoming::CloseNotAtomic;
    let without = Defect::ClosesWithoutExpectation;
    assert_found(
        without,
        not_atomic,
        "a close that expects 0 of 3 entries succeeded",
    )
    .await;
    assert_found(Defect::LooksThenCloses, not_atomic, "odd ones are closes").await;
}

#[tokio::test]
async fn closes_that_some_writer_does_not_honour() {
    let not_honoured = Shortcoming::CloseNotHonoured;
    assert_found(
        Defect::NobodyRefuses,
        not_honoured,
        "the store took an append",
    )
    .await;
    assert_found(
        Defect::OldWritersAtWork,
        not_honoured,
        "a writer of old appended",
    )
    .await;
    assert_found(Defect::SaysSo, not_honoured, "the adapter names nothing").await;
}
