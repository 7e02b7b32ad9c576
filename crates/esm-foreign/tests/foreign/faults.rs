//! Native calls that go wrong below the event store.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::event::Event;
use esm_core::id::{ObjectId, StreamId};
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_core::store::{Append, EventStore, Tail};
use esm_foreign::{CloseProof, Entry, ForeignEventStore, NativeStore, Profile};
use esm_testkit::faults::{Actor, At, Crashed, Fault, FaultPlan, Interjection};
use esm_testkit::memory::{MemoryNativeStore, MemoryWorld};
use esm_testkit::observe::History;
use esm_testkit::{environment, strategies};
use futures::FutureExt as _;
use proptest::collection::vec;
use proptest::prelude::*;

use super::fixture::{cells, event, open, stream};

fn memory() -> MemoryNativeStore {
    let profile = Profile::new(CloseProof::StoreRefuses);
    MemoryNativeStore::new(profile.with_fence(true).with_delete(true))
}

async fn opened(native: &MemoryNativeStore, actor: &Actor) -> ForeignEventStore {
    let native = actor.native_store(Arc::new(native.clone()));
    ForeignEventStore::open(native, &environment(1))
        .await
        .unwrap()
}

/// R10: a writer whose append certainly did not happen appends the same event again.
#[tokio::test]
async fn the_outcome_of_a_write_that_cannot_be_read_back_is_unknown() {
    let (native, plan) = (memory(), FaultPlan::new());
    let store = opened(&native, &plan.actor("app")).await;
    let next = plan.log().len();
    plan.inject(At::Operation(next), Fault::FailAfter);
    plan.inject(At::Operation(next + 1), Fault::FailBefore);
    let append = Append::events(environment(2).commit_id(), vec![event("e", "E").into()]);
    let (id, empty) = (stream("s"), Tail::default());
    let unknown = store.append(&id, &empty, append.clone()).await.unwrap_err();
    assert_eq!(*unknown.kind(), ErrorKind::Ambiguous, "{unknown:?}");
    // the very same append finds that it did happen
    let tail = store.append(&id, &empty, append).await.unwrap();
    assert_eq!((tail.next_seq(), native.snapshot(&id).len()), (1, 1));
}

/// Whatever fails while a store is opened for the first time, and whichever process opens it then,
/// no false finding is made or recorded, and all processes that get an id get the same.
#[tokio::test(start_paused = true)]
async fn a_store_can_be_opened_after_any_fault_of_an_opening() {
    let faults = |native: &MemoryNativeStore| {
        let native = native.clone();
        let rival = Interjection::new(move || open(native.clone(), 9).map(drop));
        [
            Fault::FailBefore,
            Fault::FailAfter,
            Fault::Duplicate,
            Fault::CrashBefore,
            Fault::CrashAfter,
            Fault::Interject(rival),
        ]
    };
    for which in 0..faults(&memory()).len() {
        for at in 0.. {
            let native = memory();
            let fault = &faults(&native)[which];
            let plan = FaultPlan::new().with(At::Operation(at), fault.clone());
            let first = plan.actor("first");
            let faulty = first.native_store(Arc::new(native.clone()));
            let seeded = environment(2);
            let opened = first.run(ForeignEventStore::open(faulty, &seeded)).await;
            let next = open(native, 3).await;
            let known = format!("{fault:?} at {at}");
            match opened {
                Ok(Ok(store)) => {
                    assert_eq!((store.id(), store.finding()), (next.id(), None), "{known}");
                }
                Ok(Err(error)) => assert!(error.is_retryable(), "{known}: {error:?}"),
                Err(Crashed) => {}
            }
            assert_eq!(next.finding(), None, "{known}");
            if plan.log().len() <= at {
                assert!(at > 100, "{known}");
                break;
            }
        }
    }
}

/// Two applications append, one through esm, whose native calls go wrong, and one by itself.
struct Applications {
    native: MemoryNativeStore,
    plan: FaultPlan,
    client: ObjectClient,
    object: ObjectId,
    history: History,
}

impl Applications {
    async fn new(profile: Profile, faults: &[(u64, Fault)]) -> Self {
        let (native, plan) = (MemoryNativeStore::new(profile), FaultPlan::new());
        let store: Arc<dyn EventStore> = Arc::new(opened(&native, &plan.actor("app")).await);
        let opening = plan.log().len();
        for (at, fault) in faults {
            plan.inject(At::Operation(opening + at), fault.clone());
        }
        let records = MemoryWorld::new(environment(1)).records();
        Self {
            native,
            plan,
            client: ObjectClient::new(records, store, environment(4)),
            object: "order/1".parse().unwrap(),
            history: History::new(),
        }
    }

    fn stream(&self) -> StreamId {
        StreamId::first(&self.object)
    }

    async fn append(&self, events: Vec<Event>) {
        let attempt = self.history.begin(events.clone());
        let any = ExpectedRevision::Any;
        match self.client.append(&self.object, any, events).await {
            Ok(_) => attempt.acknowledged(),
            Err(e) if *e.kind() == ErrorKind::Ambiguous => attempt.ambiguous(),
            Err(_) => attempt.failed(),
        }
    }

    async fn append_natively(&self, events: Vec<Event>) {
        let attempt = self.history.begin(events.clone());
        let entries = events.into_iter().map(Entry::from).collect();
        let end = self.native.snapshot(&self.stream()).len() as u64;
        let appended = self.native.append(&self.stream(), end, entries).await;
        appended.unwrap();
        attempt.acknowledged();
    }

    /// Whether the stored events match the outcomes that they got, and each finds the same.
    async fn check(self) -> Result<(), String> {
        let fresh = open(self.native.clone(), 5).await;
        let cells = cells(&fresh, &self.stream()).await;
        let events = cells.into_iter().flat_map(|cell| cell.events);
        let events: Vec<_> = events.map(|copied| copied.event).collect();
        let checked = self.history.check(&events);
        checked.map_err(|what| format!("{what}\n{}", self.plan.log()))
    }
}

proptest! {
    #![proptest_config(strategies::one_in(4))]

    #[test]
    fn applications_are_told_what_is_so(
        appends in strategies::cells(1..8, 1..4),
        faults in vec((0..40_u64, strategies::survivable_fault()), 0..16),
        finds_marks: bool,
    ) {
        let profile = Profile::new(CloseProof::StoreRefuses).with_finding_marks(finds_marks);
        let verdict = paused().block_on(async {
            let applications = Applications::new(profile, &faults).await;
            for (n, events) in (0..).zip(appends) {
                match n % 3 {
                    2 => applications.append_natively(events).await,
                    _ => applications.append(events).await,
                }
            }
            applications.check().await
        });
        prop_assert_eq!(verdict, Ok(()));
    }
}

/// Time that passes only where all wait.
fn paused() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap()
}
