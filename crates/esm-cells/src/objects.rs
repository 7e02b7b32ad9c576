//! The trait that a provider implements.

use std::fmt::Debug;
use std::ops::Range;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::{Error, Result};
use futures::stream::BoxStream;
use tokio::io::AsyncWrite;

use crate::key::Key;

/// Objects with names, of which one can be created only if it is absent.
///
/// # Guarantees
/// 1. Of several writes that create the same object, at most one succeeds.
/// 2. An acknowledged write is durable, whole, and visible to every later read.
///
/// # Errors
/// Each names the key and the store, and holds no secrets.
#[async_trait]
pub trait Objects: Send + Sync + Debug + 'static {
    /// Returns where the objects are, for messages; without credentials.
    fn location(&self) -> &str;

    /// Returns a text that is the same for the same place however it was addressed, and another for
    /// every other place; without credentials. `None` where that is not known. It distinguishes a
    /// store from a copy of it.
    fn place(&self) -> Option<&str> {
        None
    }

    /// Checks what the storage knows of itself, reading all of it: for a storage with a structure of
    /// its own, such as an index, whose damage could hide an object. Defaults to checking nothing.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Returns an object, or the bytes of a range of it that exist; `None` if there is no object.
    /// May retry.
    ///
    /// # Errors
    /// Those of the storage. For a range that begins at or beyond the object's end, returning no
    /// bytes and failing with `Unavailable` are both right.
    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<Bytes>>;

    /// Returns the size of an object in bytes; `None` if there is none. May retry.
    async fn size(&self, key: &Key) -> Result<Option<u64>>;

    /// Creates an object only if it is absent. Sends one request and never retries: a refusal after
    /// a retry says nothing about the first attempt.
    async fn create(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure>;

    /// Writes an object, whether it exists or not. May retry.
    async fn overwrite(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure>;

    /// Deletes an object, if it exists. May retry.
    async fn delete(&self, key: &Key) -> Result<()>;

    /// Lists the keys of all objects below a folder, each once, those of one folder consecutively.
    fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>>;

    /// Begins to write an object of any size, in constant memory. The object exists, whole and
    /// durable, once the writer has been shut down, and not before. Its key is new.
    ///
    /// [`buffered_upload`](crate::buffered_upload) implements it where memory suffices,
    /// [`upload_in_parts`](crate::upload_in_parts) where a storage holds an object in rows.
    fn upload(&self, key: &Key) -> Upload;
}

/// A write in progress.
pub type Upload = Pin<Box<dyn UploadWriter>>;

/// A writer of one object. Its errors wrap an [`Error`].
pub trait UploadWriter: AsyncWrite + Send + Debug {}

impl<W: AsyncWrite + Send + Debug> UploadWriter for W {}

/// Why a write failed, and whether it may have happened.
#[derive(Debug)]
pub enum WriteFailure {
    /// The object exists, possibly by an earlier attempt of this very write, or two conditional
    /// writes met.
    Exists(Error),
    /// The storage refused it; a retry would not help.
    Refused(Error),
    /// It may have happened.
    Unknown(Error),
}

impl WriteFailure {
    /// Returns the storage's error.
    pub fn into_error(self) -> Error {
        match self {
            Self::Exists(error) | Self::Refused(error) | Self::Unknown(error) => error,
        }
    }
}
