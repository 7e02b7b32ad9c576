//! The marker `esm.json`: makes a place a store, once, and says which and of what layout.

use bytes::Bytes;
use esm_core::id::StoreId;
use esm_core::{Error, Result};
use futures::StreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Creation};
use crate::key::Key;

const FORMAT: u32 = 1;

/// The object that makes a place a store: its layout and identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Name of the layout: see `docs/formats.md`.
    pub layout: String,
    format: u32,
    /// Random, stable id of the store.
    pub store: StoreId,
    created_at: Timestamp,
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
    /// `Corrupt`.
    pub async fn read(backend: &Backend, layouts: &[&str]) -> Result<Self> {
        let key = backend.layout().marker();
        match backend.get(&key).await? {
            Some(bytes) => Self::decode(&bytes, layouts, &key, backend),
            None => Err(Self::absent(backend).await),
        }
    }

    /// Reads the marker of a store that has one of these layouts, or creates a store of the first
    /// of them. A read-only backend creates nothing.
    ///
    /// # Errors
    /// As [`read`](Self::read); `NotFound` only if the backend is read-only. `Unsupported` when the
    /// storage fails the self-test.
    pub async fn read_or_create(backend: &Backend, layouts: &[&str]) -> Result<Self> {
        let key = backend.layout().marker();
        if let Some(bytes) = backend.get(&key).await? {
            return Self::decode(&bytes, layouts, &key, backend);
        }
        if backend.is_read_only() {
            return Err(Self::absent(backend).await);
        }
        self_test(backend).await?;
        let environment = backend.environment();
        let marker = Self {
            layout: layouts.first().copied().unwrap_or_default().to_owned(),
            format: FORMAT,
            store: StoreId::from_uuid(environment.uuid_v4()),
            created_at: environment.clock.now(),
        };
        let mut json = serde_json::to_vec_pretty(&marker)
            .map_err(|e| Error::invalid("marker cannot be written as JSON").with_source(e))?;
        json.push(b'\n');
        let is_mine = |found: &Bytes| {
            Self::decode(found, layouts, &key, backend).map(|found| found.store == marker.store)
        };
        match backend.create(&key, &json.into(), is_mine).await? {
            Creation::Created => Ok(marker),
            Creation::Taken(others) => Self::decode(&others, layouts, &key, backend),
        }
    }

    fn decode(bytes: &[u8], layouts: &[&str], key: &Key, backend: &Backend) -> Result<Self> {
        let corrupt = |e: serde_json::Error| {
            Error::corrupt(format!("marker cannot be read: {}", backend.place(key))).with_source(e)
        };
        let outline: Outline = serde_json::from_slice(bytes).map_err(corrupt)?;
        if !layouts.contains(&outline.layout.as_str()) {
            return Err(Error::unsupported(format!(
                "store has another layout than {}: {:?}, says {}",
                layouts.join(", "),
                outline.layout,
                backend.place(key)
            ))
            .with_hint("open it with the provider that made it"));
        }
        if outline.format > FORMAT {
            return Err(Error::unsupported(format!(
                "store has a newer format than {FORMAT}: {}, says {}",
                outline.format,
                backend.place(key)
            ))
            .with_hint("use a newer version of esm"));
        }
        serde_json::from_slice(bytes).map_err(corrupt)
    }

    /// Why there is no marker. A missing bucket answers like a missing object does, but cannot be
    /// listed.
    async fn absent(backend: &Backend) -> Error {
        let location = backend.location();
        let found = backend.list(backend.layout().root()).next().await;
        let what = match &found {
            None => "it is empty",
            Some(Ok(_)) => "it holds other things",
            Some(Err(_)) => "it cannot be listed",
        };
        let error = Error::not_found(format!("no esm store is here ({what}): {location}"));
        match found {
            Some(Err(cause)) => error.with_source(cause).with_hint(
                "check the name of the bucket, container or directory, and the right to list it",
            ),
            _ => error.with_hint("check the address, or import into it, which makes it a store"),
        }
    }
}

/// Tries whether the storage keeps the one promise that everything rests on: of two writes that
/// create the same object, the second fails.
async fn self_test(backend: &Backend) -> Result<()> {
    let key = backend.layout().self_test(backend.environment().uuid_v4());
    let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
    let created = backend
        .create(&key, &first, |found| Ok(*found == first))
        .await?;
    let again = backend
        .create(&key, &second, |found| Ok(*found == second))
        .await?;
    let kept = backend.get(&key).await?;
    // a probe that stays behind is harmless
    let _ = backend.delete([key]).await;
    let lawful = created == Creation::Created
        && again == Creation::Taken(first.clone())
        && kept == Some(first);
    if lawful {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "storage lets a second writer create the same object again: {}",
        backend.location()
    ))
    .with_hint(
        "use a storage with conditional writes (If-None-Match); switch them on if it has a switch",
    ))
}
