//! The event stores that a process knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{StoreId, StreamRef};
use crate::store::{EventStore, Layer, Layered, ReadOnly, StoreLimits};

const ADD_IT: &str = "add the store with that id to the configuration and try again";
const GIVE_IT_AN_ID: &str = "give the copy an id of its own, never the original that other stores' \
                             streams continue in: esm store new-id --store COPY";

/// The event stores that a process knows, by their ids: one is home, where new objects begin; a
/// chain of streams may lead into the others.
///
/// A stream's store is the one whose own id it names, otherwise home if the id is one of its
/// [aliases](EventStore::aliases), otherwise the only other store that has it as an alias.
#[derive(Debug, Clone)]
pub struct Stores {
    home: Arc<dyn EventStore>,
    others: BTreeMap<StoreId, Arc<dyn EventStore>>,
}

impl Stores {
    /// This store alone.
    pub fn new(home: Arc<dyn EventStore>) -> Self {
        Self {
            home,
            others: BTreeMap::new(),
        }
    }

    /// Adds a store that streams may have moved to. One with an id that is known already replaces
    /// nothing.
    #[must_use]
    pub fn with(mut self, store: Arc<dyn EventStore>) -> Self {
        if store.id() != self.home.id() {
            self.others.entry(store.id()).or_insert(store);
        }
        self
    }

    /// The store where new objects begin.
    pub fn home(&self) -> &Arc<dyn EventStore> {
        &self.home
    }

    /// The store that holds this stream.
    ///
    /// # Errors
    /// `UnknownStore`.
    pub fn of(&self, stream: &StreamRef) -> Result<&Arc<dyn EventStore>> {
        self.find(stream.store).ok_or_else(|| unknown(stream))
    }

    /// The store with this id.
    ///
    /// # Errors
    /// `UnknownStore`.
    pub fn get(&self, store: StoreId) -> Result<&Arc<dyn EventStore>> {
        self.find(store).ok_or_else(|| {
            let message = format!("a store is not known here: {store}");
            Error::new(ErrorKind::UnknownStore, message).with_hint(ADD_IT)
        })
    }

    fn find(&self, store: StoreId) -> Option<&Arc<dyn EventStore>> {
        if store == self.home.id() {
            return Some(&self.home);
        }
        self.others.get(&store).or_else(|| self.find_alias(store))
    }

    /// Of two copies neither of which is home, nothing says which one is meant.
    fn find_alias(&self, alias: StoreId) -> Option<&Arc<dyn EventStore>> {
        if self.home.aliases().contains(&alias) {
            return Some(&self.home);
        }
        let mut others = self.others.values();
        let found = others.find(|store| store.aliases().contains(&alias))?;
        let is_only = others.all(|store| !store.aliases().contains(&alias));
        is_only.then_some(found)
    }

    /// Whether both ids mean the same store.
    pub(crate) fn are_same(&self, one: StoreId, other: StoreId) -> bool {
        let id = |store| self.find(store).map(|store| store.id());
        one == other || id(one).is_some_and(|found| id(other) == Some(found))
    }

    /// Checks that a store is not a copy of one of these with the same id.
    ///
    /// Places are compared as far as they are [known](EventStore::place).
    ///
    /// # Errors
    /// `Invalid`, naming both places.
    pub fn ensure_no_copy(&self, store: &dyn EventStore) -> Result<()> {
        let all = std::iter::once(&self.home).chain(self.others.values());
        for known in all.filter(|known| known.id() == store.id()) {
            if let (Some(one), Some(other)) = (known.place(), store.place())
                && one != other
            {
                let id = store.id();
                return Err(Error::invalid(format!(
                    "two places hold a store with the same id, one is a copy of the other: {id}, \
                     {one} and {other}"
                ))
                .with_hint(GIVE_IT_AN_ID));
            }
        }
        Ok(())
    }

    /// Checks that streams of a store may be used together with those of these stores: that it is
    /// [no copy](Self::ensure_no_copy), and that home is no copy of it whose documents name its id.
    ///
    /// # Errors
    /// As [`ensure_no_copy`](Self::ensure_no_copy).
    pub fn ensure_apart(&self, store: &dyn EventStore) -> Result<()> {
        self.ensure_no_copy(store)?;
        if self.home.aliases().contains(&store.id()) {
            let name = |store: &dyn EventStore| match store.place() {
                Some(place) => place.to_owned(),
                None => format!("store {}", store.id()),
            };
            return Err(Error::invalid(format!(
                "the store is a copy of the other store, whose id its documents name too: {} and {}",
                name(&*self.home),
                name(store)
            ))
            .with_hint(
                "what names that id would be read from the other store: give that one an id of its \
                 own too, with `esm store new-id`",
            ));
        }
        Ok(())
    }

    /// The same stores, none of which can be written to.
    #[must_use]
    pub fn read_only(&self) -> Self {
        self.through(&ReadOnly)
    }

    /// The same stores, whose calls go through a layer.
    pub(crate) fn through<L: Layer + Clone>(&self, layer: &L) -> Self {
        self.map(|store| Layered::new(layer.clone(), store))
    }

    /// Each of them within another, which must have the same id.
    #[must_use]
    pub fn map(&self, wrap: impl Fn(&Arc<dyn EventStore>) -> Arc<dyn EventStore>) -> Self {
        let others = self.others.iter().map(|(id, store)| (*id, wrap(store)));
        Self {
            home: wrap(&self.home),
            others: others.collect(),
        }
    }

    /// What every one of them accepts.
    pub fn limits(&self) -> StoreLimits {
        let all = self.others.values().map(|store| store.limits());
        all.fold(self.home.limits(), |a, b| StoreLimits {
            max_event_bytes: a.max_event_bytes.min(b.max_event_bytes),
            max_cell_bytes: a.max_cell_bytes.min(b.max_cell_bytes),
            max_cell_events: a.max_cell_events.min(b.max_cell_events),
        })
    }
}

impl From<Arc<dyn EventStore>> for Stores {
    fn from(home: Arc<dyn EventStore>) -> Self {
        Self::new(home)
    }
}

/// The error for a Close whose target does not name the closed stream ([R13](crate::protocol#r13)).
pub(crate) fn other_place(stream: &StreamRef) -> Error {
    let message =
        format!("the stream does not say that it continues the one closed to it: {stream}");
    Error::new(ErrorKind::UnknownStore, message).with_hint(
        "the store with that id is configured to another place, such as a copy made before: mend \
         its address and try again",
    )
}

pub(crate) fn unknown(stream: &StreamRef) -> Error {
    let message = format!("events continue in a store that is not known here: {stream}");
    Error::new(ErrorKind::UnknownStore, message).with_hint(ADD_IT)
}
