//! A linked store, which is opened when something in it is first needed.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{CommitId, StoreId, StreamId};
use esm_core::object::StoreLink;
use esm_core::store::{
    Append, Capabilities, Close, EventStore, Fence, Page, PageLimit, ReadFrom, StoreLimits, Tail,
};
use esm_core::{Error, Result};
use tokio::sync::OnceCell;

use crate::args::Global;
use crate::open_store::{self, Access, OpenStore};

const LINK_AGAIN: &str = "if the store is elsewhere now, link it again with `esm store link URL`";

/// A store of the list of linked stores. It is opened by the first call that makes a request, so
/// that one that does not respond disturbs no command that does not need it.
#[derive(Debug)]
pub(crate) struct LinkedStore {
    id: StoreId,
    aliases: Vec<StoreId>,
    address: String,
    access: Access,
    global: Global,
    environment: Environment,
    opened: OnceCell<Arc<dyn EventStore>>,
}

impl LinkedStore {
    pub(crate) fn new(
        link: StoreLink,
        access: Access,
        global: &Global,
        environment: &Environment,
    ) -> Self {
        Self {
            id: link.store,
            aliases: link.aliases.into_iter().collect(),
            address: link.address,
            access: access.to_existing(),
            global: global.clone(),
            environment: environment.clone(),
            opened: OnceCell::new(),
        }
    }

    /// Opens the store, unless that was done already.
    ///
    /// # Errors
    /// Those of opening it, naming the address; `Invalid` if another store is at the address.
    pub(crate) async fn open(&self) -> Result<&Arc<dyn EventStore>> {
        let opened = self.opened.get_or_try_init(|| self.find()).await;
        opened.map_err(|error| {
            let error = error.context(format!("cannot open the linked store {}", self.address));
            match error.hint() {
                Some(_) => error,
                None => error.with_hint(LINK_AGAIN),
            }
        })
    }

    async fn find(&self) -> Result<Arc<dyn EventStore>> {
        let (global, environment) = (&self.global, &self.environment);
        let store = OpenStore::open(global, &self.address, self.access, environment).await?;
        let store = store.event_store();
        if store.id() == self.id {
            return Ok(store);
        }
        let message = format!(
            "another store is at the address of the linked one: expected {}, found {}",
            self.id,
            store.id()
        );
        Err(Error::invalid(message))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for LinkedStore {
    fn id(&self) -> StoreId {
        self.id
    }

    fn aliases(&self) -> &[StoreId] {
        &self.aliases
    }

    fn place(&self) -> Option<&str> {
        self.opened.get()?.place()
    }

    fn limits(&self) -> StoreLimits {
        let opened = self.opened.get().map(|store| store.limits());
        opened.unwrap_or_else(|| open_store::limits(&self.global))
    }

    fn size_of(&self, event: &Event) -> u64 {
        let opened = self.opened.get().map(|store| store.size_of(event));
        opened.unwrap_or_else(|| event.approximate_size())
    }

    /// Those of a store of esm's own until it is opened: streams move to no other one.
    fn capabilities(&self) -> Capabilities {
        let opened = self.opened.get().map(|store| store.capabilities());
        opened.unwrap_or_else(|| Capabilities::default().with_discard(self.access != Access::Read))
    }

    fn place_of_cell(&self, stream: &StreamId, seq: u64) -> Option<String> {
        self.opened.get()?.place_of_cell(stream, seq)
    }

    fn seen_tail(&self, stream: &StreamId) -> Option<Tail> {
        self.opened.get()?.seen_tail(stream)
    }

    fn expect_cell(&self, stream: &StreamId, seq: u64) {
        if let Some(opened) = self.opened.get() {
            opened.expect_cell(stream, seq);
        }
    }

    async fn tail(&self, stream: &StreamId) -> Result<Tail> {
        self.open().await?.tail(stream).await
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        self.open().await?.read(stream, from, limit).await
    }

    async fn append(&self, stream: &StreamId, expected: &Tail, append: Append) -> Result<Tail> {
        self.open().await?.append(stream, expected, append).await
    }

    async fn close(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        close: Close,
    ) -> Result<Tail> {
        let store = self.open().await?;
        store.close(stream, expected, commit, close).await
    }

    async fn fence(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        fence: Fence,
    ) -> Result<Tail> {
        let store = self.open().await?;
        store.fence(stream, expected, commit, fence).await
    }

    async fn discard(&self, stream: &StreamId) -> Result<()> {
        self.open().await?.discard(stream).await
    }
}
