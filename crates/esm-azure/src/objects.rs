//! Blobs as the objects that stores are made of.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use azure_storage_blob::models::BlobClientGetPropertiesResultHeaders as _;
use bytes::Bytes;
use esm_cells::{Key, Objects, Upload, WriteFailure};
use esm_core::Result;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};

use crate::blob::Condition;
use crate::container::{Container, REQUEST};
use crate::list::listed;
use crate::upload::StagedBlocks;

/// Blobs of one container.
#[derive(Debug)]
pub(crate) struct BlobObjects {
    container: Arc<Container>,
    place: String,
}

impl BlobObjects {
    /// `place`: see [`Objects::place`].
    pub(crate) fn new(container: Arc<Container>, place: String) -> Self {
        Self { container, place }
    }
}

#[async_trait]
impl Objects for BlobObjects {
    fn location(&self) -> &str {
        self.container.location()
    }

    fn place(&self) -> Option<&str> {
        Some(&self.place)
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        match self.container.read(key, range).await {
            Ok(found) => Ok(found.map(|found| found.body)),
            Err(failure) => Err(failure.explain("cannot read", self.container.place(key))),
        }
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        let blob = self.container.blob(key);
        let asked = self.container.repeated(0, || async {
            Ok(blob
                .get_properties(None)
                .await?
                .content_length()?
                .unwrap_or(0))
        });
        match asked.await {
            Ok(size) => Ok(Some(size)),
            Err(failure) if failure.is_missing_blob() => Ok(None),
            Err(failure) => Err(failure.explain("cannot read", self.container.place(key))),
        }
    }

    async fn create(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure> {
        let mut back_off = REQUEST;
        loop {
            let failure = match self
                .container
                .write(key, body.clone(), &Condition::Absent)
                .await
            {
                Ok(_) => return Ok(()),
                Err(failure) => failure,
            };
            // one that was never sent may be sent again; and the service is left alone for as long
            // as it asks, whoever sends the next request
            let has_waited = failure.is_transient()
                && (failure.was_not_sent() || failure.retry_after().is_some())
                && self.container.pause(&mut back_off, &failure).await;
            if !(has_waited && failure.was_not_sent()) {
                return Err(failure.of_write(self.container.place(key)));
            }
        }
    }

    async fn overwrite(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure> {
        let mut back_off = REQUEST;
        loop {
            let failure = match self
                .container
                .write(key, body.clone(), &Condition::None)
                .await
            {
                Ok(_) => return Ok(()),
                Err(failure) => failure,
            };
            if !failure.is_transient() || !self.container.pause(&mut back_off, &failure).await {
                return Err(failure.of_write(self.container.place(key)));
            }
        }
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let blob = self.container.blob(key);
        match self.container.repeated(0, || blob.delete(None)).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_missing_blob() => Ok(()),
            Err(failure) => Err(failure.explain("cannot delete", self.container.place(key))),
        }
    }

    fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>> {
        let blobs = listed(Arc::clone(&self.container), folder.clone());
        blobs.map_ok(|blob| blob.key).boxed()
    }

    fn upload(&self, key: &Key) -> Upload {
        Box::pin(StagedBlocks::new(Arc::clone(&self.container), key.clone()))
    }
}
