//! Decorated native stores pass the suite of event stores.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::clock::Environment;
use esm_core::store::{EventStore, StoreLimits};
use esm_foreign::{CloseProof, ForeignEventStore, NativeStore, Profile};
use esm_testkit::conformance::EventStoreHarness;
use esm_testkit::faults::{At, Fault, FaultPlan};
use esm_testkit::memory::MemoryNativeStore;

use super::kurrent::{Adapter, Kurrent};

struct Decorated<N>(N);

#[async_trait]
impl<N: NativeStore + Clone> EventStoreHarness for Decorated<N> {
    async fn open(&self) -> Arc<dyn EventStore> {
        let native = Arc::new(self.0.clone());
        let opened = ForeignEventStore::open(native, &Environment::system()).await;
        Arc::new(opened.unwrap())
    }
}

fn memory(profile: Profile) -> MemoryNativeStore {
    // small, so that the suite meets them soon
    let limits = StoreLimits::default()
        .with_max_cell(700, 8 << 20)
        .with_max_event_bytes(2 << 20);
    MemoryNativeStore::new(profile.with_limits(limits))
}

/// A process that never gets an answer to an append or a close, once it has opened the store.
struct Unanswered(MemoryNativeStore);

#[async_trait]
impl EventStoreHarness for Unanswered {
    async fn open(&self) -> Arc<dyn EventStore> {
        let plan = FaultPlan::new();
        let native = plan.actor("process").native_store(Arc::new(self.0.clone()));
        let opened = ForeignEventStore::open(native, &Environment::system()).await;
        for name in ["native_store.append", "native_store.close"] {
            plan.inject(At::Each(name), Fault::FailAfter);
        }
        Arc::new(opened.unwrap())
    }
}

/// All applications go through esm, so a Fence costs nothing.
mod fenced {
    use super::{CloseProof, Decorated, Profile, memory};

    esm_testkit::event_store_conformance!(Decorated(memory(
        Profile::new(CloseProof::StoreRefuses)
            .with_fence(true)
            .with_delete(true)
    )));
}

/// Applications see native positions; nothing is ever deleted.
mod unfenced {
    use super::{CloseProof, Decorated, Profile, memory};

    esm_testkit::event_store_conformance!(Decorated(memory(
        Profile::new(CloseProof::FormatMarker).with_finding_marks(true)
    )));
}

/// The event store finds out by itself what became of an append.
mod unanswered {
    use super::{CloseProof, Profile, Unanswered, memory};

    esm_testkit::event_store_conformance!(Unanswered(memory(
        Profile::new(CloseProof::StoreRefuses).with_fence(true)
    )));
}

/// What an adapter translates, in envelopes, comes back as it was.
mod translated {
    use super::{Adapter, Decorated, Kurrent};

    esm_testkit::event_store_conformance!(Decorated(Adapter::new(&Kurrent::rolled_out())));
}
