//! Reading and writing one blob.

use std::num::NonZero;
use std::ops::Range;

use azure_core::http::Etag;
use azure_storage_blob::models::{
    BlobClientDownloadOptions, BlockBlobClientUploadOptions, LeaseState,
};
use bytes::Bytes;
use esm_cells::Key;

use crate::container::Container;
use crate::failure::Failure;

/// What is read and written in one request, however large it is: more than the largest cell. The
/// client would send a larger one in parts, which is not one atomic request.
const ONE_REQUEST: usize = 256 << 20;

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
pub(crate) fn is_leased(state: Option<LeaseState>) -> bool {
    matches!(state, Some(LeaseState::Leased | LeaseState::Breaking))
}
