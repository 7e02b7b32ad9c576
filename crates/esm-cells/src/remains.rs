//! What a place without a marker holds: nothing, other things, or a store that has lost it.

use esm_core::{Error, Result};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::backend::Backend;
use crate::key::Key;
use crate::layout::is_replaced;

/// How many objects are inspected in one listing: a page of every provider has as many, so it is
/// one request.
const LISTED: usize = 1_000;

/// What a place without a marker holds.
#[derive(Debug)]
pub(crate) enum Remains {
    Nothing,
    /// Objects, none of which is a store's.
    OtherThings,
    /// This object of a store.
    Store(Key),
    Unlistable(Error),
}

/// Looks for objects of a store. Costs one request; in a place with many other objects one for each
/// folder of the layout.
pub(crate) async fn remains(backend: &Backend) -> Remains {
    match search(backend).await {
        Ok(remains) => remains,
        Err(error) => Remains::Unlistable(error),
    }
}

async fn search(backend: &Backend) -> Result<Remains> {
    let first = Listing::of(backend, backend.layout().root()).await?;
    if let Some(found) = first.of_a_store {
        return Ok(Remains::Store(found));
    }
    if first.objects < LISTED {
        return Ok(match first.objects {
            0 => Remains::Nothing,
            _ => Remains::OtherThings,
        });
    }
    for folder in backend.layout().folders() {
        if let Some(found) = Listing::of(backend, &folder).await?.of_a_store {
            return Ok(Remains::Store(found));
        }
    }
    Ok(Remains::OtherThings)
}

/// How the records and locks of a store are kept, which depends on its layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// As numbered objects alone.
    Numbered,
    /// In objects that are replaced.
    Replaced,
    /// There are none.
    Neither,
}

/// Finds out how a store keeps its records and locks. Lists its documents and locks.
///
/// # Errors
/// Those of the storage.
pub(crate) async fn layout_of(backend: &Backend) -> Result<Found> {
    let mut found = Found::Neither;
    for folder in [backend.layout().documents(), backend.layout().locks()] {
        let mut keys = backend.list(&folder);
        while let Some(key) = keys.try_next().await? {
            if is_replaced(&key) {
                return Ok(Found::Replaced);
            }
            if backend.layout().is_part(&key) {
                found = Found::Numbered;
            }
        }
    }
    Ok(found)
}

/// The beginning of a listing, up to the first object of a store.
struct Listing {
    objects: usize,
    of_a_store: Option<Key>,
}

impl Listing {
    async fn of(backend: &Backend, folder: &Key) -> Result<Self> {
        let mut listing = Self {
            objects: 0,
            of_a_store: None,
        };
        let mut keys = backend.list(folder).take(LISTED);
        while let Some(key) = keys.try_next().await? {
            listing.objects += 1;
            if backend.layout().is_part(&key) {
                listing.of_a_store = Some(key);
                break;
            }
        }
        Ok(listing)
    }
}
