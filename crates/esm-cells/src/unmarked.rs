//! A store that has lost its marker.

use std::sync::Arc;

use esm_core::id::{StoreId, StreamRef};
use esm_core::recovery::StreamReference;
use esm_core::store::CellKind;
use esm_core::{Error, ErrorKind, Result};
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};

use crate::backend::Backend;
use crate::key::Key;
use crate::layout::parse_number;
use crate::marker::Marker;
use crate::store::Store;

/// Cells that are read at once.
const READ_AT_ONCE: usize = 16;
/// Enough for the first line of almost every cell.
const HEADER_BYTES: u64 = 4 << 10;

/// A place that holds a store without its marker: what is there can be read, and the marker can be
/// written again.
#[derive(Debug, Clone)]
pub struct Unmarked {
    backend: Arc<Backend>,
    store: Store,
}

impl Unmarked {
    /// Opens a place for a provider that opens stores of these layouts. `open` makes the handle of a
    /// store whose marker has been read; it gets a backend that refuses every write.
    ///
    /// # Errors
    /// `AlreadyExists` where there is a marker; `NotFound` where there is nothing of a store;
    /// `Unsupported` for a store of another layout; those of the storage.
    pub async fn open(
        backend: Arc<Backend>,
        layouts: &[&str],
        open: impl FnOnce(Arc<Backend>, Marker) -> Store,
    ) -> Result<Self> {
        let marker = Marker::provisional(&backend, layouts).await?;
        let store = open(Arc::new(backend.read_only()), marker);
        Ok(Self { backend, store })
    }

    /// Returns the store for reading. Its id is not the store's.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns what the Closes and origins of the streams name. Reads the headers of all cells.
    pub fn references(&self) -> BoxStream<'static, Result<StreamReference>> {
        let streams = self.backend.layout().streams();
        let backend = Arc::clone(&self.backend);
        self.backend
            .list(&streams)
            .try_filter(|key| std::future::ready(parse_number(key.name()).is_some()))
            .map_ok(move |key| named_by(Arc::clone(&backend), key))
            .try_buffered(READ_AT_ONCE)
            .map_ok(|named| futures::stream::iter(named).map(Ok))
            .try_flatten()
            .boxed()
    }

    /// Writes the marker, with this id and these aliases.
    ///
    /// # Errors
    /// `Conflict` if the marker has appeared meanwhile; those of the storage.
    pub async fn restore(&self, store: StoreId, aliases: Vec<StoreId>) -> Result<()> {
        let layout = self.store.layout();
        let marker = Marker::restore(&self.backend, layout, store, aliases).await?;
        if marker.store == store {
            return Ok(());
        }
        let message = format!("the store got another marker meanwhile: {}", marker.store);
        Err(Error::new(ErrorKind::Conflict { actual: None }, message)
            .with_hint("open the store as usual"))
    }
}

/// The streams that a cell names. A damaged cell names none.
async fn named_by(backend: Arc<Backend>, key: Key) -> Result<Vec<StreamReference>> {
    let Some(start) = backend.get_start(&key, HEADER_BYTES).await? else {
        return Ok(Vec::new());
    };
    let mut header = esm_format::cell::decode_header_of_any(&start);
    if header.is_err()
        && let Some(whole) = backend.get(&key).await?
    {
        header = esm_format::cell::decode_header_of_any(&whole);
    }
    let named: Option<StreamRef> = match header.map(|header| header.kind) {
        Ok(CellKind::Close(close)) => close.target,
        Ok(CellKind::Data { origin, .. }) => origin.map(|origin| origin.source),
        _ => None,
    };
    let by = format!("cell {key}");
    Ok(named
        .map(|stream| StreamReference { by, stream })
        .into_iter()
        .collect())
}
