//! Uploads for storages that hold an object in parts: rows of a table.

use std::fmt;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::Result;
use futures::future::BoxFuture;
use tokio::io::AsyncWrite;

use crate::key::Key;
use crate::objects::Upload;

/// Bytes of every part of an upload but the last.
pub const PART_BYTES: usize = 1 << 20;

/// Where the parts of an upload are written to: see [`upload_in_parts`].
#[async_trait]
pub trait PartStore: Clone + Send + Sync + fmt::Debug + Unpin + 'static {
    /// Returns the number of a new upload, which was never used before.
    async fn begin(&self) -> Result<i64>;

    /// Writes a part. No reader sees it before the end.
    async fn part(&self, upload: i64, number: u64, body: Bytes) -> Result<()>;

    /// Creates the object of the parts, atomically.
    ///
    /// # Errors
    /// Those of the storage; also where parts are missing, or the object exists.
    async fn end(&self, uploaded: Uploaded, key: &Key) -> Result<()>;
}

/// An upload whose parts were all written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    /// The number of the upload.
    pub upload: i64,
    /// The number of its parts.
    pub parts: u64,
    /// The bytes of all parts.
    pub bytes: u64,
}

/// Returns an upload that writes parts of [`PART_BYTES`], and the object when it is shut down.
///
/// As the whole of [`Objects::upload`](crate::Objects::upload). The memory holds one part.
pub fn upload_in_parts(store: impl PartStore, key: &Key) -> Upload {
    Box::pin(PartWriter {
        store,
        key: key.clone(),
        collected: Vec::new(),
        written: None,
        state: State::Collecting,
    })
}

struct PartWriter<S> {
    store: S,
    key: Key,
    collected: Vec<u8>,
    /// What was written; nothing before the first part.
    written: Option<Uploaded>,
    state: State,
}

enum State {
    Collecting,
    Writing(BoxFuture<'static, Result<Uploaded>>),
    Ending(BoxFuture<'static, Result<()>>),
    Ended,
    Failed,
}

impl<S: fmt::Debug> fmt::Debug for PartWriter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartWriter")
            .field("key", &self.key)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

impl<S: PartStore> PartWriter<S> {
    /// Waits for the part that is being written.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let State::Writing(part) = &mut self.state {
            let written = ready!(part.as_mut().poll(cx));
            // after a part that failed the object would have a hole
            self.state = State::Failed;
            self.written = Some(written.map_err(io::Error::other)?);
            self.state = State::Collecting;
        }
        Poll::Ready(Ok(()))
    }

    fn begin_part(&mut self) {
        let body = Bytes::from(mem::take(&mut self.collected));
        let (store, written) = (self.store.clone(), self.written);
        self.state = State::Writing(Box::pin(async move {
            let Uploaded {
                upload,
                parts,
                bytes,
            } = begun(&store, written).await?;
            let length = body.len() as u64;
            store.part(upload, parts, body).await?;
            Ok(Uploaded {
                upload,
                parts: parts + 1,
                bytes: bytes + length,
            })
        }));
    }

    fn begin_end(&mut self) {
        let (store, written, key) = (self.store.clone(), self.written, self.key.clone());
        self.state = State::Ending(Box::pin(async move {
            let uploaded = begun(&store, written).await?;
            store.end(uploaded, &key).await
        }));
    }
}

async fn begun(store: &impl PartStore, written: Option<Uploaded>) -> Result<Uploaded> {
    match written {
        Some(written) => Ok(written),
        None => Ok(Uploaded {
            upload: store.begin().await?,
            parts: 0,
            bytes: 0,
        }),
    }
}

fn broken<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
}

impl<S: PartStore> AsyncWrite for PartWriter<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.collected.len() == PART_BYTES {
            this.begin_part();
        }
        ready!(this.poll_part(cx))?;
        if !matches!(this.state, State::Collecting) {
            return broken();
        }
        let taken = bytes.len().min(PART_BYTES - this.collected.len());
        this.collected.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    /// Waits for the parts that are full. What is less than a part is written at the end.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_part(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            ready!(this.poll_part(cx))?;
            match &mut this.state {
                State::Ending(end) => {
                    let ended = ready!(end.as_mut().poll(cx));
                    this.state = if ended.is_ok() {
                        State::Ended
                    } else {
                        State::Failed
                    };
                    return Poll::Ready(ended.map_err(io::Error::other));
                }
                State::Ended => return Poll::Ready(Ok(())),
                State::Failed => return broken(),
                State::Collecting | State::Writing(_) if this.collected.is_empty() => {
                    this.begin_end();
                }
                State::Collecting | State::Writing(_) => this.begin_part(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use esm_core::Error;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Parts in memory; fails from this part on.
    #[derive(Debug, Clone)]
    struct Parts {
        written: Arc<Mutex<Vec<Bytes>>>,
        ended: Arc<Mutex<Vec<Uploaded>>>,
        fails_at: u64,
    }

    impl Parts {
        fn failing_at(fails_at: u64) -> Self {
            Self {
                written: Arc::default(),
                ended: Arc::default(),
                fails_at,
            }
        }
    }

    #[async_trait]
    impl PartStore for Parts {
        async fn begin(&self) -> Result<i64> {
            Ok(7)
        }

        async fn part(&self, _: i64, number: u64, body: Bytes) -> Result<()> {
            if number >= self.fails_at {
                return Err(Error::invalid("no more"));
            }
            self.written.lock().unwrap().push(body);
            Ok(())
        }

        async fn end(&self, uploaded: Uploaded, _: &Key) -> Result<()> {
            self.ended.lock().unwrap().push(uploaded);
            Ok(())
        }
    }

    #[tokio::test]
    async fn parts_are_full_but_for_the_last_and_together_what_was_written() {
        for length in [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES] {
            let body: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let parts = Parts::failing_at(u64::MAX);
            let mut upload = upload_in_parts(parts.clone(), &Key::new("a"));
            upload.write_all(&body).await.unwrap();
            assert!(parts.ended.lock().unwrap().is_empty());
            upload.shutdown().await.unwrap();
            upload.shutdown().await.unwrap();
            let written = parts.written.lock().unwrap().clone();
            assert_eq!(written.concat(), body);
            let full = written.iter().filter(|part| part.len() == PART_BYTES);
            assert_eq!(full.count(), length / PART_BYTES);
            let uploaded = Uploaded {
                upload: 7,
                parts: written.len() as u64,
                bytes: length as u64,
            };
            assert_eq!(*parts.ended.lock().unwrap(), [uploaded]);
        }
    }

    #[tokio::test]
    async fn after_a_part_that_failed_the_object_is_never_created() {
        let parts = Parts::failing_at(1);
        let mut upload = upload_in_parts(parts.clone(), &Key::new("a"));
        let body = vec![0; 3 * PART_BYTES];
        assert!(upload.write_all(&body).await.is_err());
        assert!(upload.write_all(&body).await.is_err());
        assert!(upload.shutdown().await.is_err());
        assert!(parts.ended.lock().unwrap().is_empty());
    }
}
