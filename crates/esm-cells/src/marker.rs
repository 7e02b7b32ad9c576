//! The marker `esm.json`: makes a place a store, once, and says which and of what layout.

use bytes::Bytes;
use esm_core::id::StoreId;
use esm_core::{Error, ErrorKind, Result};
use esm_format::sealed;
use futures::future;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::backend::{Backend, Creation};
use crate::key::Key;
use crate::layout::LAYOUT;
use crate::remains::{Found, Remains, layout_of, remains};
use crate::self_test::self_test;

/// The format of a marker without aliases, which every version reads.
const FORMAT: u32 = 1;
/// The format of a marker with aliases. A version that does not know them must not open the store:
/// it could take another store for the one that an alias means.
const FORMAT_WITH_ALIASES: u32 = 2;

/// The object that makes a place a store: its layout and identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Name of the layout: see `docs/formats.md`.
    pub layout: String,
    format: u32,
    /// Random, stable id of the store.
    pub store: StoreId,
    created_at: Timestamp,
    /// Ids that the store had before, newest last. What names them means this store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<StoreId>,
}

/// What can be read of any layout and format.
#[derive(Deserialize)]
struct Outline {
    layout: String,
    format: u32,
}

impl Marker {
    /// Reads the marker of a store that has one of these layouts.
    ///
    /// # Errors
    /// `NotFound` where there is no store, `Unsupported` for another layout or a newer format,
    /// `Corrupt`, also where only the marker of a store is missing.
    pub async fn read(backend: &Backend, layouts: &[&str]) -> Result<Self> {
        match Self::find(backend, layouts).await? {
            Some(marker) => Ok(marker),
            None => Self::without(backend, layouts)
                .await?
                .map_err(absent(backend)),
        }
    }

    /// Reads the marker of a store that has one of these layouts, or creates a store of the first
    /// of them. A read-only backend creates nothing.
    ///
    /// # Errors
    /// As [`read`](Self::read); `NotFound` only if the backend is read-only, or if the place cannot
    /// be listed because it does not exist. `Unsupported` when the storage fails the self-test.
    pub async fn read_or_create(backend: &Backend, layouts: &[&str]) -> Result<Self> {
        if let Some(marker) = Self::find(backend, layouts).await? {
            return Ok(marker);
        }
        match Self::without(backend, layouts).await? {
            Ok(appeared) => return Ok(appeared),
            Err(remains) if backend.is_read_only() => return Err(absent(backend)(remains)),
            Err(Remains::Unlistable(cause)) => {
                // a write says more of a bucket that does not exist than a listing does
                self_test(backend).await?.remove(backend).await;
                return Err(cause);
            }
            Err(_) => {}
        }
        let tested = self_test(backend).await?;
        let store = StoreId::from_uuid(backend.environment().uuid_v4());
        let layout = layouts.first().copied().unwrap_or_default();
        let marker = Self::new(backend, layout, store);
        let created = marker.create(backend, layouts);
        let (created, ()) = future::join(created, tested.remove(backend)).await;
        created
    }

    /// Writes the marker of a store that has lost it. Returns the marker that is there afterwards,
    /// which is another where a concurrent writer won.
    ///
    /// # Errors
    /// Those of the storage; `Corrupt` for an unreadable marker.
    pub async fn restore(
        backend: &Backend,
        layout: &str,
        store: StoreId,
        aliases: Vec<StoreId>,
    ) -> Result<Self> {
        Self::new(backend, layout, store)
            .with_aliases(aliases)
            .create(backend, &[layout])
            .await
    }

    /// Overwrites the marker with one that has a new id, and the present id as its newest alias.
    pub(crate) async fn renew_id(&self, backend: &Backend) -> Result<Self> {
        let mut aliases = self.aliases.clone();
        aliases.push(self.store);
        let renewed = Self {
            store: StoreId::from_uuid(backend.environment().uuid_v4()),
            ..self.clone()
        };
        let renewed = renewed.with_aliases(aliases);
        let key = backend.layout().marker();
        backend.overwrite(&key, &renewed.encode()?).await?;
        Ok(renewed)
    }

    /// Returns a marker to read a store with that has lost its own: with the store's layout, but
    /// without an id.
    ///
    /// # Errors
    /// `AlreadyExists` where there is a marker; `NotFound` where there is nothing of a store;
    /// `Unsupported` for a store of another layout.
    pub(crate) async fn provisional(backend: &Backend, layouts: &[&str]) -> Result<Self> {
        if Self::find(backend, layouts).await?.is_some() {
            let place = backend.place(&backend.layout().marker());
            let message = format!("the store has its marker: {place}");
            return Err(
                Error::new(ErrorKind::AlreadyExists, message).with_hint("open the store as usual")
            );
        }
        let found = match remains(backend).await {
            Remains::Store(_) => layout_of(backend).await?,
            other => return Err(absent(backend)(other)),
        };
        let is_it = |layout: &&&str| match found {
            Found::Numbered => **layout == LAYOUT,
            Found::Replaced => **layout != LAYOUT,
            Found::Neither => true,
        };
        let layout = layouts.iter().find(is_it).ok_or_else(|| {
            let message = format!("store has another layout than {}", layouts.join(", "));
            Error::unsupported(format!("{message}: {}", backend.location()))
                .with_hint("open it with the provider that made it")
        })?;
        Ok(Self::new(backend, layout, StoreId::from_uuid(Uuid::nil())))
    }

    fn new(backend: &Backend, layout: &str, store: StoreId) -> Self {
        Self {
            layout: layout.to_owned(),
            format: FORMAT,
            store,
            created_at: backend.environment().clock.now(),
            aliases: Vec::new(),
        }
    }

    fn with_aliases(mut self, aliases: Vec<StoreId>) -> Self {
        if !aliases.is_empty() {
            self.format = FORMAT_WITH_ALIASES;
        }
        self.aliases = aliases;
        self
    }

    pub(crate) async fn find(backend: &Backend, layouts: &[&str]) -> Result<Option<Self>> {
        let key = backend.layout().marker();
        match backend.get(&key).await? {
            Some(bytes) => Self::decode(&bytes, layouts, &key, backend).map(Some),
            None => Ok(None),
        }
    }

    /// What there is without a marker; the marker where it has appeared meanwhile.
    ///
    /// # Errors
    /// `Corrupt` where a store is that has lost its marker.
    async fn without(backend: &Backend, layouts: &[&str]) -> Result<Result<Self, Remains>> {
        match remains(backend).await {
            Remains::Store(found) => match Self::find(backend, layouts).await? {
                Some(appeared) => Ok(Ok(appeared)),
                None => Err(lost(backend, &found)),
            },
            other => Ok(Err(other)),
        }
    }

    async fn create(self, backend: &Backend, layouts: &[&str]) -> Result<Self> {
        let key = backend.layout().marker();
        let is_mine =
            |found: &Bytes| Self::decode(found, layouts, &key, backend).map(|found| found == self);
        match backend.create(&key, &self.encode()?, is_mine).await? {
            Creation::Created => Ok(self),
            Creation::Taken(others) => Self::decode(&others, layouts, &key, backend),
        }
    }

    fn encode(&self) -> Result<Bytes> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::invalid("marker cannot be written as JSON").with_source(e))?;
        let mut sealed = sealed::seal(json);
        sealed.push(b'\n');
        Ok(sealed.into())
    }

    fn decode(bytes: &[u8], layouts: &[&str], key: &Key, backend: &Backend) -> Result<Self> {
        let corrupt = |e: serde_json::Error| {
            Error::corrupt(format!("marker cannot be read: {}", backend.place(key)))
                .with_source(e)
                .with_hint(PUT_IT_ASIDE)
        };
        let outline: Outline = serde_json::from_slice(bytes).map_err(corrupt)?;
        sealed::check(bytes).map_err(|e| {
            e.context(format!("marker {}", backend.place(key)))
                .with_hint(PUT_IT_ASIDE)
        })?;
        if !layouts.contains(&outline.layout.as_str()) {
            return Err(Error::unsupported(format!(
                "store has another layout than {}: {:?}, says {}",
                layouts.join(", "),
                outline.layout,
                backend.place(key)
            ))
            .with_hint("open it with the provider that made it"));
        }
        if outline.format > FORMAT_WITH_ALIASES {
            return Err(Error::unsupported(format!(
                "store has a newer format than {FORMAT_WITH_ALIASES}: {}, says {}",
                outline.format,
                backend.place(key)
            ))
            .with_hint("use a newer version of esm"));
        }
        serde_json::from_slice(bytes).map_err(corrupt)
    }
}

const PUT_IT_ASIDE: &str = "put back the original; if there is none, move the file away and run \
                            `esm store init --adopt`";

/// The error for a store that has lost its marker.
pub(crate) fn lost(backend: &Backend, found: &Key) -> Error {
    let marker = backend.layout().marker();
    Error::corrupt(format!(
        "marker of the store is missing: {}, although {found} is there",
        backend.place(&marker)
    ))
    .with_hint(
        "check the address; if the file is lost, put it back, or run `esm store init --adopt`, \
         which finds the store's id in its other files and writes the marker again",
    )
}

/// Why there is no marker. A missing bucket answers like a missing object does, but cannot be
/// listed.
fn absent(backend: &Backend) -> impl FnOnce(Remains) -> Error {
    move |remains| {
        let what = match remains {
            Remains::Nothing => "it is empty",
            Remains::OtherThings => "it holds other things",
            Remains::Unlistable(_) => "it cannot be listed",
            Remains::Store(found) => return lost(backend, &found),
        };
        let location = backend.location();
        let error = Error::not_found(format!("no esm store is here ({what}): {location}"));
        match remains {
            Remains::Unlistable(cause) => error.with_source(cause).with_hint(
                "check the name of the bucket, container or directory, and the right to list it",
            ),
            _ => error.with_hint("check the address, or import into it, which makes it a store"),
        }
    }
}
