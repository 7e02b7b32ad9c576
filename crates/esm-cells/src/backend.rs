//! The objects of one store: reading, listing, and the one conditional write.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use esm_core::backoff::BackOff;
use esm_core::clock::Environment;
use esm_core::store::{Lane, StoreLimits};
use esm_core::{Error, ErrorKind, Result};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use crate::key::Key;
use crate::layout::Layout;
use crate::objects::{Objects, Upload, WriteFailure};
use crate::options::OpenOptions;

/// Attempts of a conditional write.
const CREATE: BackOff = BackOff::new(6, Duration::from_millis(50), Duration::from_millis(800));
/// Attempts to read back a write with an unknown outcome.
const READ_BACK: BackOff = BackOff::new(3, Duration::from_millis(50), Duration::from_millis(100));

/// The objects of one store, with the options that it was opened with. Each request waits for its
/// turn in the [lane](Lane) that it belongs to, except those of a listing and of an upload.
pub struct Backend {
    objects: Arc<dyn Objects>,
    layout: Layout,
    options: OpenOptions,
}

/// Outcome of creating an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// The object exists as given.
    Created,
    /// Another writer's object exists, with this body.
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

    /// Returns a backend of the same objects that refuses every write.
    pub(crate) fn read_only(&self) -> Self {
        Self {
            objects: Arc::clone(&self.objects),
            layout: self.layout.clone(),
            options: self.options.clone().read_only(),
        }
    }

    /// Returns the keys of the store.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns where the store is, for messages; without credentials.
    pub fn location(&self) -> &str {
        self.objects.location()
    }

    /// Returns the same text for the same place, and another for every other: see
    /// [`Objects::place`].
    pub fn canonical_place(&self) -> Option<&str> {
        self.objects.place()
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

    /// Checks the storage: see [`Objects::check`].
    ///
    /// # Errors
    /// `Corrupt`; those of the storage.
    pub(crate) async fn check(&self) -> Result<()> {
        self.objects.check().await
    }

    /// Returns a whole object; `None` if there is none.
    pub async fn get(&self, key: &Key) -> Result<Option<Bytes>> {
        let _turn = Lane::turn().await;
        self.objects.get(key, None).await
    }

    /// Returns the first bytes of an object, at most `length`; the whole of a shorter one.
    pub async fn get_start(&self, key: &Key, length: u64) -> Result<Option<Bytes>> {
        let turn = Lane::turn().await;
        let start = self.objects.get(key, Some(0..length)).await;
        drop(turn);
        match start {
            // an empty object has no range: ask for what there is, and let the reader judge it
            Err(error) if *error.kind() == ErrorKind::Unavailable => self.get(key).await,
            other => other,
        }
    }

    /// Returns a range of an object that must exist.
    ///
    /// # Errors
    /// `NotFound` if it does not.
    pub async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        let turn = Lane::turn().await;
        let part = self.objects.get(key, Some(range)).await?;
        drop(turn);
        part.ok_or_else(|| {
            Error::not_found(format!("object was removed meanwhile: {}", self.place(key)))
        })
    }

    /// Returns the size of an object in bytes; `None` if there is none.
    pub async fn size(&self, key: &Key) -> Result<Option<u64>> {
        let _turn = Lane::turn().await;
        self.objects.size(key).await
    }

    /// Returns whether an object exists.
    pub async fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.size(key).await?.is_some())
    }

    /// Creates an object unless it exists.
    ///
    /// The object decides the outcome, not the storage's response: after anything but a success it
    /// is read back, and `is_mine` decides whether the body that was found is this very write. A
    /// conflict may be with an earlier attempt of the same call.
    ///
    /// # Errors
    /// `Ambiguous` if an attempt may have taken effect and reading back did not settle it. Any other
    /// error means that nothing was written.
    pub async fn create(
        &self,
        key: &Key,
        body: &Bytes,
        is_mine: impl Fn(&Bytes) -> Result<bool> + Send,
    ) -> Result<Creation> {
        self.create_reading(key, body, is_mine, |_| self.get(key))
            .await
    }

    /// As [`create`](Self::create), and reads the object back in this way. `read` gets whether the
    /// storage says that the object exists.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub(crate) async fn create_reading<Fut>(
        &self,
        key: &Key,
        body: &Bytes,
        is_mine: impl Fn(&Bytes) -> Result<bool> + Send,
        read: impl Fn(bool) -> Fut + Send + Sync,
    ) -> Result<Creation>
    where
        Fut: Future<Output = Result<Option<Bytes>>> + Send,
    {
        self.check_writable()?;
        let mut in_doubt = false;
        let mut back_off = CREATE;
        loop {
            let turn = Lane::turn().await;
            let created = self.objects.create(key, body.clone()).await;
            drop(turn);
            let Err(failure) = created else {
                return Ok(Creation::Created);
            };
            let is_refused = matches!(failure, WriteFailure::Refused(_));
            in_doubt |= matches!(failure, WriteFailure::Unknown(_));
            let exists = matches!(failure, WriteFailure::Exists(_));
            let found = match self.read_back(|| read(exists), is_refused).await {
                Ok(found) => found,
                Err(_) if is_refused && !in_doubt => return Err(failure.into_error()),
                Err(reading) => return Err(self.ambiguous(key, reading)),
            };
            match found {
                Some(found) if is_mine(&found)? => return Ok(Creation::Created),
                Some(found) => return Ok(Creation::Taken(found)),
                None if is_refused && !in_doubt => return Err(failure.into_error()),
                None if back_off.pause(self.environment()).await => {}
                None if in_doubt => return Err(self.ambiguous(key, failure.into_error())),
                None => return Err(self.never_shown(key, failure.into_error())),
            }
        }
    }

    /// Reads a key after a write to it failed.
    async fn read_back<Fut>(
        &self,
        read: impl Fn() -> Fut + Send,
        is_refused: bool,
    ) -> Result<Option<Bytes>>
    where
        Fut: Future<Output = Result<Option<Bytes>>> + Send,
    {
        let mut back_off = READ_BACK;
        loop {
            match read().await {
                Err(_) if !is_refused && back_off.pause(self.environment()).await => {}
                read => return read,
            }
        }
    }

    fn ambiguous(&self, key: &Key, cause: Error) -> Error {
        Error::new(
            ErrorKind::Ambiguous,
            format!("outcome of a write is unknown: {}", self.place(key)),
        )
        .with_source(cause)
        .with_hint("read it back before writing again")
    }

    /// The storage reports a conflict on every attempt and never shows the other write.
    fn never_shown(&self, key: &Key, cause: Error) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!(
                "storage refuses a conditional write although the object is absent: {}",
                self.place(key)
            ),
        )
        .with_source(cause)
        .with_hint("try again; if it stays so, another program keeps writing the same key")
    }

    /// Writes an object, whether it exists or not. For hints and heartbeats: one process writes
    /// them, and safety does not depend on them.
    ///
    /// # Errors
    /// `Ambiguous` if the write may have happened.
    pub async fn overwrite(&self, key: &Key, body: &Bytes) -> Result<()> {
        self.check_writable()?;
        let _turn = Lane::turn().await;
        let put = self.objects.overwrite(key, body.clone()).await;
        put.map_err(|failure| match failure {
            WriteFailure::Refused(error) => error,
            other => self.ambiguous(key, other.into_error()),
        })
    }

    /// Begins to write an object of any size: see [`Objects::upload`].
    pub fn upload(&self, key: &Key) -> Upload {
        self.objects.upload(key)
    }

    /// Deletes objects, one after the other in this order. Absent ones are skipped.
    pub async fn delete(&self, keys: impl IntoIterator<Item = Key>) -> Result<()> {
        self.check_writable()?;
        for key in keys {
            let _turn = Lane::turn().await;
            self.objects.delete(&key).await?;
        }
        Ok(())
    }

    /// Lists the keys of the objects below a folder, in the order of the storage.
    pub fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>> {
        self.objects.list(folder)
    }

    /// Sends several requests at once, and returns the results in order.
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
