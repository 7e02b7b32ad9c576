//! The objects of one store: reading, listing, and the one conditional write.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use esm_core::clock::Environment;
use esm_core::store::StoreLimits;
use esm_core::{Error, ErrorKind, Result};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use crate::key::Key;
use crate::layout::Layout;
use crate::objects::{Objects, Upload, WriteFailure};
use crate::options::OpenOptions;

/// How often a conditional write is sent before esm gives up.
const CREATE_ATTEMPTS: u32 = 6;
/// How often a write with an unknown outcome is read back before it stays unknown.
const READ_BACK_ATTEMPTS: u32 = 3;
/// The pause before the second try; it doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Where objects are, by whom they are written, and in which words it is spoken of.
pub struct Backend {
    objects: Arc<dyn Objects>,
    layout: Layout,
    options: OpenOptions,
}

/// What came of creating an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// It stands there as given.
    Created,
    /// Another's object stood there first: this is it.
    Taken(Bytes),
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("location", &self.location())
            .field("read_only", &self.is_read_only())
            .finish_non_exhaustive()
    }
}

impl Backend {
    /// Creates the backend of a store whose keys all begin with `root`, which may be empty.
    pub fn new(objects: Arc<dyn Objects>, root: Key, options: OpenOptions) -> Self {
        Self {
            objects,
            layout: Layout::new(root),
            options,
        }
    }

    /// Which key holds what.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns where the store is, for messages; without credentials.
    pub fn location(&self) -> &str {
        self.objects.location()
    }

    /// Returns the source of time, ids and pauses.
    pub fn environment(&self) -> &Environment {
        &self.options.environment
    }

    /// Returns the limits that appends must keep.
    pub(crate) fn limits(&self) -> StoreLimits {
        self.options.limits
    }

    /// Returns a key and its store, for messages.
    pub fn place(&self, key: &Key) -> String {
        format!("{key} in {}", self.location())
    }

    /// Returns whether the store was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        self.options.read_only
    }

    /// Refuses to write to a store that was opened for reading only.
    ///
    /// # Errors
    /// `Unsupported`.
    pub fn check_writable(&self) -> Result<()> {
        if !self.is_read_only() {
            return Ok(());
        }
        Err(
            Error::unsupported(format!("store was opened read-only: {}", self.location()))
                .with_hint("open the store for writing"),
        )
    }

    /// A whole object; nothing when there is none.
    pub async fn get(&self, key: &Key) -> Result<Option<Bytes>> {
        self.objects.get(key, None).await
    }

    /// The first bytes of an object, at least one and at most `length`; the whole of a shorter or
    /// empty one.
    pub async fn get_start(&self, key: &Key, length: u64) -> Result<Option<Bytes>> {
        match self.objects.get(key, Some(0..length)).await {
            // an empty object has no range: ask for what there is, and let the reader judge it
            Err(error) if *error.kind() == ErrorKind::Unavailable => self.get(key).await,
            other => other,
        }
    }

    /// A part of an object that is there.
    ///
    /// # Errors
    /// `NotFound` when it is not.
    pub async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        let part = self.objects.get(key, Some(range)).await?;
        part.ok_or_else(|| {
            Error::not_found(format!("object was removed meanwhile: {}", self.place(key)))
        })
    }

    /// The size of an object in bytes; nothing when there is none.
    pub async fn size(&self, key: &Key) -> Result<Option<u64>> {
        self.objects.size(key).await
    }

    /// Whether an object is there.
    pub async fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.size(key).await?.is_some())
    }

    /// Creates an object unless one stands there already.
    ///
    /// Whatever the storage answers, the object itself decides: after anything but a success it is
    /// read back, and `is_mine` says whether what stands there is this very write, since a conflict
    /// may be with an own earlier try.
    ///
    /// # Errors
    /// `Ambiguous` when a try may have taken effect and reading back did not tell. Any other error
    /// means that nothing was written.
    pub async fn create(
        &self,
        key: &Key,
        body: &Bytes,
        is_mine: impl Fn(&Bytes) -> Result<bool> + Send,
    ) -> Result<Creation> {
        self.check_writable()?;
        let mut in_doubt = false;
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let Err(failure) = self.objects.create(key, body.clone()).await else {
                return Ok(Creation::Created);
            };
            let is_refused = matches!(failure, WriteFailure::Refused(_));
            in_doubt |= matches!(failure, WriteFailure::Unknown(_));
            let found = match self.read_back(key, is_refused).await {
                Ok(found) => found,
                Err(_) if is_refused && !in_doubt => return Err(failure.into_error()),
                Err(reading) => return Err(self.ambiguous(key, reading)),
            };
            match found {
                Some(found) if is_mine(&found)? => return Ok(Creation::Created),
                Some(found) => return Ok(Creation::Taken(found)),
                None if is_refused && !in_doubt => return Err(failure.into_error()),
                None if attempt == CREATE_ATTEMPTS => {
                    return Err(match in_doubt {
                        true => self.ambiguous(key, failure.into_error()),
                        false => self.beaten(failure.into_error(), key),
                    });
                }
                None => {}
            }
            self.environment()
                .clock
                .sleep(self.environment().jittered(pause))
                .await;
            pause *= 2;
            attempt += 1;
        }
    }

    /// What stands at a key after a write failed.
    async fn read_back(&self, key: &Key, is_refused: bool) -> Result<Option<Bytes>> {
        let attempts = match is_refused {
            true => 1,
            false => READ_BACK_ATTEMPTS,
        };
        let mut pause = FIRST_PAUSE;
        for _ in 1..attempts {
            if let Ok(found) = self.get(key).await {
                return Ok(found);
            }
            self.environment()
                .clock
                .sleep(self.environment().jittered(pause))
                .await;
            pause *= 2;
        }
        self.get(key).await
    }

    fn ambiguous(&self, key: &Key, cause: Error) -> Error {
        Error::new(
            ErrorKind::Ambiguous,
            format!("outcome of a write is unknown: {}", self.place(key)),
        )
        .with_source(cause)
        .with_hint("read it back before writing again")
    }

    /// The storage says again and again that a conditional write met another one, and never shows
    /// that other one.
    fn beaten(&self, cause: Error, key: &Key) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!(
                "storage refuses a conditional write although nothing stands there: {}",
                self.place(key)
            ),
        )
        .with_source(cause)
        .with_hint("try again; if it stays so, another program keeps writing the same key")
    }

    /// Writes an object, whatever stood there. For what only one writes and nothing rests on.
    ///
    /// # Errors
    /// `Ambiguous` when it may have happened.
    pub async fn overwrite(&self, key: &Key, body: &Bytes) -> Result<()> {
        self.check_writable()?;
        let put = self.objects.overwrite(key, body.clone()).await;
        put.map_err(|failure| match failure {
            WriteFailure::Refused(error) => error,
            other => self.ambiguous(key, other.into_error()),
        })
    }

    /// Writes an object of any size: see [`Objects::upload`].
    pub fn upload(&self, key: &Key) -> Upload {
        self.objects.upload(key)
    }

    /// Deletes objects, in order, one after the other. Absent is fine.
    pub async fn delete(&self, keys: impl IntoIterator<Item = Key>) -> Result<()> {
        self.check_writable()?;
        for key in keys {
            self.objects.delete(&key).await?;
        }
        Ok(())
    }

    /// The keys of the objects below a folder, as they come.
    pub fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>> {
        self.objects.list(folder)
    }

    /// Asks for several things at once, and gives the answers in order.
    pub async fn together<T, F, Fut>(
        &self,
        numbers: impl IntoIterator<Item = u64>,
        ask: F,
    ) -> Result<Vec<T>>
    where
        F: Fn(u64) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let asked: Vec<_> = numbers.into_iter().map(ask).collect();
        let width = asked.len().max(1);
        stream::iter(asked).buffered(width).try_collect().await
    }
}
