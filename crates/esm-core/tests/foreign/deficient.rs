//! Stores that do not keep what a migration rests on: each is found out and refused by name.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::event::Event;
use esm_core::foreign::{
    CloseProof, Entry, Finding, NativeStore, Profile, Recorded, Slice, SliceLimit, adopt,
};
use esm_core::id::{ObjectId, StreamId};
use esm_core::migration::MigrationService;
use esm_core::store::{EventStore, Shortcoming, Tail};
use esm_core::{Error, ErrorKind, Result};
use esm_testkit::environment;
use esm_testkit::memory::MemoryWorld;

use super::fixture::{event, open, rules, stream};
use super::kurrent::{Adapter, Expected, Kurrent, NEW, data_of};

/// What is wrong with an adapter, or with its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
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
struct Deficient {
    inner: Adapter,
    defect: Defect,
}

impl Deficient {
    fn new(kurrent: &Kurrent, defect: Defect) -> Self {
        let inner = Adapter::new(kurrent).with(|mut profile| {
            profile.proof = match defect {
                Defect::NobodyRefuses => CloseProof::StoreRefuses,
                Defect::SaysSo => CloseProof::Nothing,
                _ => profile.proof,
            };
            profile
        });
        if defect == Defect::OldWritersAtWork {
            kurrent.let_everybody_write();
        }
        Self { inner, defect }
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
        loop {
            let count = self.count(stream).await?;
            match self.inner.append(stream, count, entries.clone()).await {
                Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. }) => {}
                answer => return answer,
            }
        }
    }
}

#[async_trait]
impl NativeStore for Deficient {
    fn profile(&self) -> Profile {
        self.inner.profile()
    }

    async fn read(&self, stream: &StreamId, from: u64, limit: SliceLimit) -> Result<Slice> {
        self.inner.read(stream, from, limit).await
    }

    async fn last(&self, stream: &StreamId) -> Result<Option<Recorded>> {
        self.inner.last(stream).await
    }

    async fn append(&self, stream: &StreamId, expected: u64, all: Vec<Entry>) -> Result<()> {
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

    async fn delete(&self, stream: &StreamId) -> Result<()> {
        self.inner.delete(stream).await
    }
}

/// What is found, and that a migration is refused with it before anything is touched.
async fn found(defect: Defect) -> Finding {
    let kurrent = Kurrent::rolled_out();
    let written = data_of(&event("e", "Old"));
    kurrent
        .append(NEW, "order-1", Expected::Any, vec![written])
        .unwrap();
    let store = open(Deficient::new(&kurrent, defect), 1).await;
    let finding = store.finding().cloned().unwrap();
    let world = MemoryWorld::new(&environment(2));
    let (records, environment) = (world.records(), environment(3));
    let object: ObjectId = "order/1".parse().unwrap();
    let id = stream("order-1");
    let adopted = adopt(
        records.clone(),
        &*store,
        object.clone(),
        id.clone(),
        &environment,
    );
    adopted.await.unwrap();

    let events: Arc<dyn EventStore> = store.clone();
    let service = MigrationService::new(events, records, world.locks()).unwrap();
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
    // and where somebody goes on all the same, the store itself refuses
    let tail = store.tail(&id).await.unwrap();
    let close = esm_core::store::Close {
        target: None,
        events: tail.next_revision(),
        target_events: tail.next_revision(),
        migration: environment.migration_id(),
        continues: true,
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
        "was answered Invalid instead of Conflict",
    )
    .await;
    assert_found(Defect::OneByOne, inexact, "odd ones one more").await;
}

#[tokio::test]
async fn events_that_change_on_the_way() {
    let changed = Shortcoming::ContentChanged;
    assert_found(Defect::LosesTheTime, changed, "changed on the way: time").await;
    assert_found(Defect::LosesTheMark, changed, "changed on the way: mark").await;
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

/// A test that could not be done says nothing, and nothing is recorded.
#[tokio::test]
async fn a_store_that_does_not_answer_is_not_judged() {
    #[derive(Debug)]
    struct Unreachable(Adapter);

    #[async_trait]
    impl NativeStore for Unreachable {
        fn profile(&self) -> Profile {
            self.0.profile()
        }

        async fn read(&self, stream: &StreamId, from: u64, limit: SliceLimit) -> Result<Slice> {
            self.0.read(stream, from, limit).await
        }

        async fn last(&self, stream: &StreamId) -> Result<Option<Recorded>> {
            self.0.last(stream).await
        }

        async fn append(&self, stream: &StreamId, expected: u64, all: Vec<Entry>) -> Result<()> {
            match stream.as_str().starts_with("esm-probe") && expected == 3 {
                true => Err(Error::new(ErrorKind::Unavailable, "connection refused")),
                false => self.0.append(stream, expected, all).await,
            }
        }

        async fn append_as_old_writer(
            &self,
            stream: &StreamId,
            expected: Option<u64>,
            event: Event,
        ) -> Result<()> {
            self.0.append_as_old_writer(stream, expected, event).await
        }
    }

    let kurrent = Kurrent::rolled_out();
    let native = Arc::new(Unreachable(Adapter::new(&kurrent)));
    let opened = esm_core::foreign::ForeignEventStore::open(native, &environment(1)).await;
    let error = opened.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(open(Adapter::new(&kurrent), 2).await.finding(), None);
}
