//! Blobs as the objects that stores are made of.

use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::Etag;
use azure_storage_blob::models::{
    BlobClientDownloadOptions, BlobClientGetPropertiesResultHeaders as _,
    BlobContainerClientListBlobsOptions, BlockBlobClientUploadOptions, ListBlobsResponse,
};
use bytes::Bytes;
use esm_cells::{Key, Objects, Upload, WriteFailure};
use esm_core::Result;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use crate::container::{Container, Pauses};
use crate::failure::Failure;
use crate::upload::StagedBlocks;

/// What is read and written in one request, however large it is: more than the largest cell. The
/// client would send a larger one in parts, which is not one atomic request.
const ONE_REQUEST: usize = 256 << 20;

/// Blobs of one container.
#[derive(Debug)]
pub(crate) struct BlobObjects {
    container: Arc<Container>,
}

/// A blob that was read.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) body: Bytes,
    pub(crate) etag: Option<Etag>,
    pub(crate) is_leased: bool,
}

/// On which condition a blob is written.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    None,
    Absent,
    Unchanged(Etag),
    Leased(String),
}

impl BlobObjects {
    pub(crate) fn new(container: Arc<Container>) -> Self {
        Self { container }
    }
}

impl Container {
    /// Reads a blob, or a part of it; nothing when it is not there.
    pub(crate) async fn read(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<Option<Found>, Failure> {
        let blob = self.blob(key);
        let bytes = range.as_ref().map_or(0, |range| range.end - range.start);
        let read = self.repeated(bytes, || {
            let options = BlobClientDownloadOptions {
                range: range.clone().map(Into::into),
                parallel: Some(NonZero::<usize>::MIN),
                partition_size: NonZero::new(ONE_REQUEST),
                ..BlobClientDownloadOptions::default()
            };
            let blob = &blob;
            async move {
                let answer = blob.download(Some(options)).await?;
                let body = answer.body.collect().await?;
                Ok((body, answer.properties))
            }
        });
        match read.await {
            Ok((body, properties)) => Ok(Some(Found {
                body,
                etag: properties.etag,
                is_leased: is_leased(properties.lease_state),
            })),
            Err(failure) if failure.is_missing_blob() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Writes a whole blob in one request, once.
    pub(crate) async fn write(
        &self,
        key: &Key,
        body: Bytes,
        condition: &Condition,
    ) -> Result<Option<Etag>, Failure> {
        let mut options = BlockBlobClientUploadOptions {
            partition_size: NonZero::new(ONE_REQUEST as u64),
            ..BlockBlobClientUploadOptions::default()
        };
        match condition {
            Condition::None => {}
            Condition::Absent => options.if_none_match = Some("*".into()),
            Condition::Unchanged(etag) => options.if_match = Some(etag.clone()),
            Condition::Leased(lease) => options.lease_id = Some(lease.clone()),
        }
        let length = body.len() as u64;
        let blob = self.blob(key);
        let written = self.once(length, blob.upload(body.into(), Some(options)));
        Ok(written.await?.etag)
    }
}

/// Whether somebody holds the lease of a blob in this state.
pub(crate) fn is_leased(state: Option<azure_storage_blob::models::LeaseState>) -> bool {
    use azure_storage_blob::models::LeaseState;
    matches!(state, Some(LeaseState::Leased | LeaseState::Breaking))
}

#[async_trait]
impl Objects for BlobObjects {
    fn location(&self) -> &str {
        self.container.location()
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
        let mut pauses = Pauses::new();
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
                && pauses.pause(self.container.environment(), &failure).await;
            if !(has_waited && failure.was_not_sent()) {
                return Err(failure.of_write(self.container.place(key)));
            }
        }
    }

    async fn overwrite(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure> {
        let mut pauses = Pauses::new();
        loop {
            let failure = match self
                .container
                .write(key, body.clone(), &Condition::None)
                .await
            {
                Ok(_) => return Ok(()),
                Err(failure) => failure,
            };
            if !failure.is_transient()
                || !pauses.pause(self.container.environment(), &failure).await
            {
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

/// A blob in a list.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) key: Key,
    pub(crate) is_leased: bool,
}

/// The blobs below a folder, in the order of their names, a page at a time.
pub(crate) fn listed(container: Arc<Container>, folder: Key) -> BoxStream<'static, Result<Listed>> {
    let pages = stream::try_unfold(Some(None), move |marker: Option<Option<String>>| {
        let (container, folder) = (Arc::clone(&container), folder.clone());
        async move {
            match marker {
                None => Ok(None),
                Some(marker) => next_page(&container, &folder, marker).await.map(Some),
            }
        }
    });
    let blobs = pages.map_ok(|page| stream::iter(blobs(page).map(Ok)));
    blobs.try_flatten().boxed()
}

/// A page, and where the next one begins.
async fn next_page(
    container: &Container,
    folder: &Key,
    marker: Option<String>,
) -> Result<(ListBlobsResponse, Option<Option<String>>)> {
    let prefix = match folder.as_str() {
        "" => String::new(),
        folder => format!("{folder}/"),
    };
    let asked = container.repeated(0, || page(container, &prefix, marker.clone()));
    let page = asked
        .await
        .map_err(|failure| failure.explain("cannot list", container.place(folder)))?;
    let next = page.next_marker.clone().filter(|next| !next.is_empty());
    Ok((page, next.map(Some)))
}

async fn page(
    container: &Container,
    prefix: &str,
    marker: Option<String>,
) -> azure_core::Result<ListBlobsResponse> {
    let options = BlobContainerClientListBlobsOptions {
        prefix: Some(prefix.to_owned()),
        marker,
        ..BlobContainerClientListBlobsOptions::default()
    };
    let mut pages = container.client().list_blobs(Some(options))?.into_pages();
    match pages.try_next().await? {
        Some(page) => page.into_model(),
        None => Ok(ListBlobsResponse::default()),
    }
}

fn blobs(page: ListBlobsResponse) -> impl Iterator<Item = Listed> {
    page.blob_items.into_iter().filter_map(|blob| {
        let state = blob
            .properties
            .and_then(|properties| properties.lease_state);
        Some(Listed {
            key: Key::new(&blob.name?),
            is_leased: is_leased(state),
        })
    })
}
