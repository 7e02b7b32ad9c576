//! The objects of one store: reading, listing, and the one conditional write.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use esm_core::clock::Environment;
use esm_core::{Error, ErrorKind, Result};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
};

use crate::failure::{WriteFailure, explain};
use crate::layout::Layout;
use crate::location::Clients;

/// How often a conditional write is sent before esm gives up.
const CREATE_ATTEMPTS: u32 = 6;
/// How often a write with an unknown outcome is read back before it stays unknown.
const READ_BACK_ATTEMPTS: u32 = 3;
/// The pause before the second try; it doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Where objects are, by whom they are written, and in which words it is spoken of.
pub(crate) struct Backend {
    /// Reads, lists and uploads in parts; may retry by itself.
    objects: Arc<dyn ObjectStore>,
    /// Conditional writes: does not retry by itself, so that a refusal is the answer to the only
    /// request that was sent.
    writes: Arc<dyn ObjectStore>,
    layout: Layout,
    /// The location for messages, without secrets.
    location: String,
    read_only: bool,
    environment: Environment,
}

/// What came of creating an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Creation {
    /// It stands there as given.
    Created,
    /// Another's object stood there first: this is it.
    Taken(Bytes),
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // clients print their configuration, which may hold credentials
        f.debug_struct("Backend")
            .field("location", &self.location)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}

impl Backend {
    pub(crate) fn new(
        clients: Clients,
        location: String,
        read_only: bool,
        environment: Environment,
    ) -> Self {
        Self {
            objects: clients.objects,
            writes: clients.writes,
            layout: Layout::new(clients.root),
            location,
            read_only,
            environment,
        }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    pub(crate) fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// A key in words: the key and the store that it is in.
    pub(crate) fn place(&self, key: &Path) -> String {
        format!("{key} in {}", self.location)
    }

    /// Refuses to write to a store that was opened for reading.
    pub(crate) fn check_writable(&self) -> Result<()> {
        match self.read_only {
            false => Ok(()),
            true => Err(Error::unsupported(format!(
                "store was opened read-only: {}",
                self.location
            ))
            .with_hint("open the store for writing")),
        }
    }

    /// A whole object; nothing when there is none.
    pub(crate) async fn get(&self, key: &Path) -> Result<Option<Bytes>> {
        self.get_with(key, GetOptions::new()).await
    }

    /// The first bytes of an object, at least one and at most `length`; the whole of a shorter or
    /// empty one.
    pub(crate) async fn get_start(&self, key: &Path, length: u64) -> Result<Option<Bytes>> {
        let start = GetOptions::new().with_range(Some(GetRange::Bounded(0..length)));
        match self.get_with(key, start).await {
            // an empty object has no range: ask for what there is, and let the reader judge it
            Err(error) if *error.kind() == ErrorKind::Unavailable => self.get(key).await,
            other => other,
        }
    }

    async fn get_with(&self, key: &Path, options: GetOptions) -> Result<Option<Bytes>> {
        let read = async { self.objects.get_opts(key, options).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(explain(error, "cannot read", self.place(key))),
        }
    }

    /// Whether an object is there.
    pub(crate) async fn exists(&self, key: &Path) -> Result<bool> {
        match self.objects.head(key).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(explain(error, "cannot read", self.place(key))),
        }
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
    pub(crate) async fn create(
        &self,
        key: &Path,
        body: &Bytes,
        is_mine: impl Fn(&Bytes) -> Result<bool> + Send,
    ) -> Result<Creation> {
        self.check_writable()?;
        let mut in_doubt = false;
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let Err(error) = self.put(&self.writes, key, body, PutMode::Create).await else {
                return Ok(Creation::Created);
            };
            let failure = WriteFailure::of(&error);
            in_doubt |= failure == WriteFailure::Unknown;
            let found = match self.read_back(key, failure).await {
                Ok(found) => found,
                Err(_) if failure == WriteFailure::Refused && !in_doubt => {
                    return Err(self.cannot_write(error, key));
                }
                Err(reading) => return Err(self.ambiguous(key, reading)),
            };
            match found {
                Some(found) if is_mine(&found)? => return Ok(Creation::Created),
                Some(found) => return Ok(Creation::Taken(found)),
                None if failure == WriteFailure::Refused && !in_doubt => {
                    return Err(self.cannot_write(error, key));
                }
                None if attempt == CREATE_ATTEMPTS => {
                    return Err(match in_doubt {
                        true => self.ambiguous(key, self.cannot_write(error, key)),
                        false => self.beaten(error, key),
                    });
                }
                None => {}
            }
            self.environment
                .clock
                .sleep(self.environment.jittered(pause))
                .await;
            pause *= 2;
            attempt += 1;
        }
    }

    /// What stands at a key after a write failed.
    async fn read_back(&self, key: &Path, failure: WriteFailure) -> Result<Option<Bytes>> {
        let attempts = match failure {
            WriteFailure::Refused => 1,
            _ => READ_BACK_ATTEMPTS,
        };
        let mut pause = FIRST_PAUSE;
        for _ in 1..attempts {
            if let Ok(found) = self.get(key).await {
                return Ok(found);
            }
            self.environment
                .clock
                .sleep(self.environment.jittered(pause))
                .await;
            pause *= 2;
        }
        self.get(key).await
    }

    fn cannot_write(&self, error: object_store::Error, key: &Path) -> Error {
        explain(error, "cannot write", self.place(key))
    }

    fn ambiguous(&self, key: &Path, cause: Error) -> Error {
        Error::new(
            ErrorKind::Ambiguous,
            format!("outcome of a write is unknown: {}", self.place(key)),
        )
        .with_source(cause)
        .with_hint("read it back before writing again")
    }

    /// The storage says again and again that a conditional write met another one, and never shows
    /// that other one.
    fn beaten(&self, error: object_store::Error, key: &Path) -> Error {
        let cause = self.cannot_write(error, key);
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
    pub(crate) async fn overwrite(&self, key: &Path, body: &Bytes) -> Result<()> {
        self.check_writable()?;
        let put = self.put(&self.objects, key, body, PutMode::Overwrite).await;
        put.map_err(|error| match WriteFailure::of(&error) {
            WriteFailure::Refused => self.cannot_write(error, key),
            _ => self.ambiguous(key, self.cannot_write(error, key)),
        })
    }

    async fn put(
        &self,
        to: &Arc<dyn ObjectStore>,
        key: &Path,
        body: &Bytes,
        mode: PutMode,
    ) -> object_store::Result<()> {
        let options = PutOptions::from(mode);
        to.put_opts(key, body.clone().into(), options).await?;
        Ok(())
    }

    /// Deletes objects, in order, one after the other. Absent is fine.
    pub(crate) async fn delete(&self, keys: impl IntoIterator<Item = Path>) -> Result<()> {
        self.check_writable()?;
        for key in keys {
            match self.objects.delete(&key).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(explain(error, "cannot delete", self.place(&key))),
            }
        }
        Ok(())
    }

    /// The objects below a folder, as they come.
    pub(crate) fn list(&self, folder: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let place = self.place(folder);
        self.objects
            .list(Some(folder))
            .map_err(move |error| explain(error, "cannot list", &place))
            .boxed()
    }

    /// Asks for several things at once, and gives the answers in order.
    pub(crate) async fn together<T, F, Fut>(
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
