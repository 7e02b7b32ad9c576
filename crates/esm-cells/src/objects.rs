//! What a storage offers: the whole of what a provider implements.

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
/// 2. A write whose answer was a success is durable, whole, and seen by every later read.
///
/// # Errors
/// Each names the key and the store, and holds no secrets.
#[async_trait]
pub trait Objects: Send + Sync + Debug + 'static {
    /// Returns where the objects are, for messages; without credentials.
    fn location(&self) -> &str;

    /// Returns an object, or the bytes of a range of it that exist; `None` if there is no object.
    /// May retry.
    ///
    /// # Errors
    /// Those of the storage. For a range that begins at or beyond the object's end, returning no
    /// bytes and failing with `Unavailable` are both right.
    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<Bytes>>;

    /// The size of an object in bytes; nothing when there is none. May repeat its request.
    async fn size(&self, key: &Key) -> Result<Option<u64>>;

    /// Creates an object only if none is there. Sends one request and never repeats it: a refusal
    /// must be the answer to the only one that was sent.
    async fn create(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure>;

    /// Writes an object, whatever stood there. May repeat its request.
    async fn overwrite(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure>;

    /// Removes an object; absent is fine. May repeat its request.
    async fn delete(&self, key: &Key) -> Result<()>;

    /// The keys of all objects below a folder, each once. Those of one folder come one after the
    /// other.
    fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>>;

    /// Writes an object of any size in constant memory. It is there, whole and durable, when the
    /// writer has been shut down, and not before.
    fn upload(&self, key: &Key) -> Upload;
}

/// A write that goes on.
pub type Upload = Pin<Box<dyn UploadWriter>>;

/// What writes an object piece by piece. Its errors wrap an [`Error`].
pub trait UploadWriter: AsyncWrite + Send + Debug {}

impl<W: AsyncWrite + Send + Debug> UploadWriter for W {}

/// What a failed write says about whether it happened.
#[derive(Debug)]
pub enum WriteFailure {
    /// An object stands there (possibly an earlier try of this very write), or two conditional
    /// writes met.
    Exists(Error),
    /// The storage refused it for a reason that trying again does not mend.
    Refused(Error),
    /// It may have happened.
    Unknown(Error),
}

impl WriteFailure {
    /// What the storage said.
    pub fn into_error(self) -> Error {
        match self {
            Self::Exists(error) | Self::Refused(error) | Self::Unknown(error) => error,
        }
    }
}
