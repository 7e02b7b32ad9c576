//! Reading data files as streams of bytes, in constant memory.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use esm_core::{Error, Result};
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio_util::io::StreamReader;

use crate::backend::Backend;
use crate::key::Key;

/// How much is read at once, and how many times.
const READ: u64 = 2 << 20;
const READS_AT_ONCE: usize = 2;

/// Reads one data file.
pub(super) type FileReader = StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>;

/// Opens a data file of this size.
///
/// Reads a piece at a time, the next one while this one is used: a stream over the whole file
/// would have to begin anew after every interruption, and comes in very small pieces from a local
/// directory.
///
/// # Errors
/// `Corrupt` when it is missing or has another size.
pub(super) async fn open(backend: &Arc<Backend>, key: Key, size: u64) -> Result<FileReader> {
    let place = backend.place(&key);
    let Some(found) = backend.size(&key).await? else {
        return Err(Error::corrupt(format!(
            "file of the backup is missing: {place}"
        )));
    };
    if found != size {
        return Err(Error::corrupt(format!(
            "file of the backup has {found} bytes instead of {size}, as its manifest says: {place}"
        )));
    }
    let backend = Arc::clone(backend);
    let pieces = (0..size).step_by(READ as usize).map(move |start| {
        let (backend, key) = (Arc::clone(&backend), key.clone());
        let range = start..size.min(start + READ);
        async move {
            let piece = backend.get_range(&key, range).await;
            piece.map_err(io::Error::other)
        }
    });
    Ok(StreamReader::new(
        stream::iter(pieces).buffered(READS_AT_ONCE).boxed(),
    ))
}
