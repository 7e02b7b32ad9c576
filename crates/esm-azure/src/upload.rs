//! Writing a blob of any size: blocks are staged as they fill, and become a blob when all are there.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use azure_storage_blob::models::{BlockBlobClientCommitBlockListOptions, BlockLookupList};
use bytes::{Bytes, BytesMut};
use esm_cells::Key;
use esm_core::{Error, Result};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, Stream as _};
use tokio::io::AsyncWrite;

use crate::blob::Condition;
use crate::container::{Container, REQUEST};
use crate::failure::Failure;

/// Size of a block. A blob has at most 50,000 of them: 195 GiB.
const BLOCK: usize = 4 << 20;
/// How many are on their way at once, beside the one that is being filled.
const AT_ONCE: usize = 2;

/// Writes one blob, which must not be there yet.
///
/// Staged blocks are invisible until they are committed, and the service throws them away after a
/// week; what fits one block is written by one request.
pub(crate) struct StagedBlocks {
    container: Arc<Container>,
    key: Key,
    buffer: BytesMut,
    staged: u32,
    on_their_way: FuturesUnordered<BoxFuture<'static, Result<()>>>,
    finish: Option<BoxFuture<'static, Result<()>>>,
    is_finished: bool,
}

impl std::fmt::Debug for StagedBlocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StagedBlocks")
            .field("key", &self.key)
            .field("staged", &self.staged)
            .finish_non_exhaustive()
    }
}

impl StagedBlocks {
    pub(crate) fn new(container: Arc<Container>, key: Key) -> Self {
        Self {
            container,
            key,
            buffer: BytesMut::new(),
            staged: 0,
            on_their_way: FuturesUnordered::new(),
            finish: None,
            is_finished: false,
        }
    }

    /// Waits until at most this many blocks are on their way.
    fn poll_down_to(&mut self, most: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.on_their_way.len() > most {
            if let Some(staged) = ready!(Pin::new(&mut self.on_their_way).poll_next(cx)) {
                staged.map_err(io::Error::other)?;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn stage(&mut self) {
        let body = self.buffer.split().freeze();
        let number = self.staged;
        self.staged += 1;
        let (container, key) = (Arc::clone(&self.container), self.key.clone());
        self.on_their_way
            .push(Box::pin(stage(container, key, number, body)));
    }
}

impl AsyncWrite for StagedBlocks {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.buffer.len() == BLOCK {
            ready!(self.poll_down_to(AT_ONCE - 1, cx))?;
            self.stage();
        }
        let room = BLOCK - self.buffer.len();
        let taken = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    /// Nothing is there before [`poll_shutdown`](Self::poll_shutdown), so there is nothing to do.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_finished {
            return Poll::Ready(Ok(()));
        }
        if self.finish.is_none() && self.staged > 0 && !self.buffer.is_empty() {
            self.stage();
        }
        ready!(self.poll_down_to(0, cx))?;
        if self.finish.is_none() {
            let (container, key) = (Arc::clone(&self.container), self.key.clone());
            let (blocks, rest) = (self.staged, self.buffer.split().freeze());
            self.finish = Some(Box::pin(finish(container, key, blocks, rest)));
        }
        if let Some(finish) = &mut self.finish {
            ready!(finish.as_mut().poll(cx)).map_err(io::Error::other)?;
        }
        self.is_finished = true;
        Poll::Ready(Ok(()))
    }
}

/// Names of blocks have one length in one blob.
fn block_id(number: u32) -> Vec<u8> {
    format!("{number:08}").into_bytes()
}

async fn stage(container: Arc<Container>, key: Key, number: u32, body: Bytes) -> Result<()> {
    let blob = container.blob(&key).block_blob_client();
    let length = body.len() as u64;
    let staged = container.repeated(length, || {
        let (blob, body) = (&blob, body.clone());
        async move {
            let id = block_id(number);
            blob.stage_block(&id, length, body.into(), None).await
        }
    });
    match staged.await {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.explain("cannot write", container.place(&key))),
    }
}

/// Makes the blob, unless one is there. The name is drawn for this one upload, so one that is there
/// after a try with an unknown outcome is this very one.
async fn finish(container: Arc<Container>, key: Key, blocks: u32, rest: Bytes) -> Result<()> {
    let mut back_off = REQUEST;
    let mut in_doubt = false;
    loop {
        let failure = match blocks {
            0 => container
                .write(&key, rest.clone(), &Condition::Absent)
                .await
                .err(),
            _ => commit(&container, &key, blocks).await.err(),
        };
        let Some(failure) = failure else {
            return Ok(());
        };
        if in_doubt && failure.is_conflict() {
            return Ok(());
        }
        if failure.is_conflict() {
            let place = container.place(&key);
            return Err(Error::new(
                esm_core::ErrorKind::AlreadyExists,
                format!("file exists already: {place}"),
            ));
        }
        in_doubt |= failure.is_transient() && !failure.was_not_sent();
        if !failure.is_transient() || !container.pause(&mut back_off, &failure).await {
            return Err(failure.explain("cannot write", container.place(&key)));
        }
    }
}

async fn commit(container: &Container, key: &Key, blocks: u32) -> Result<(), Failure> {
    let list = BlockLookupList {
        latest: Some((0..blocks).map(block_id).collect()),
        ..BlockLookupList::default()
    };
    let options = BlockBlobClientCommitBlockListOptions {
        if_none_match: Some("*".into()),
        ..BlockBlobClientCommitBlockListOptions::default()
    };
    let body = list
        .try_into()
        .map_err(|e: azure_core::Error| Failure::from(e))?;
    let blob = container.blob(key).block_blob_client();
    container
        .once(0, blob.commit_block_list(body, Some(options)))
        .await
        .map(|_| ())
}
