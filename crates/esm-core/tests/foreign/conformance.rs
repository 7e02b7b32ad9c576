//! Decorated native stores pass the suite of event stores.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::clock::Environment;
use esm_core::foreign::{ForeignEventStore, Profile};
use esm_core::store::EventStore;
use esm_testkit::conformance::EventStoreHarness;

use super::kurrent::{Adapter, Kurrent};

struct Decorated(Adapter);

impl Decorated {
    fn new(profile: impl FnOnce(Profile) -> Profile) -> Self {
        Self(Adapter::new(&Kurrent::rolled_out()).with(profile))
    }
}

#[async_trait]
impl EventStoreHarness for Decorated {
    async fn open(&self) -> Arc<dyn EventStore> {
        let native = Arc::new(self.0.clone());
        let opened = ForeignEventStore::open(native, &Environment::system()).await;
        Arc::new(opened.unwrap())
    }
}

/// All applications go through esm, so a Fence costs nothing.
mod fenced {
    esm_testkit::event_store_conformance!(super::Decorated::new(|p| p.with_fence(true)));
}

/// Applications see native revisions; nothing is ever deleted.
mod unfenced {
    esm_testkit::event_store_conformance!(super::Decorated::new(|p| p.with_delete(false)));
}
