//! Listing blobs.

use std::sync::Arc;

use azure_storage_blob::models::{BlobContainerClientListBlobsOptions, ListBlobsResponse};
use esm_cells::Key;
use esm_core::Result;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use crate::blob::is_leased;
use crate::container::Container;

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
