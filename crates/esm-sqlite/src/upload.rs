//! Uploads: parts of an object, which it takes over at the end.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use esm_cells::{Key, PartStore, Uploaded, WriteFailure};
use esm_core::{Error, ErrorKind, Result};

use crate::change::{Change, Done};
use crate::database::Database;

/// The parts of uploads.
#[derive(Debug, Clone)]
pub(crate) struct Parts(pub(crate) Arc<Database>);

impl Parts {
    async fn change(&self, change: Change) -> Result<Done> {
        let done = self.0.change(change).await;
        done.map_err(WriteFailure::into_error)
    }
}

#[async_trait]
impl PartStore for Parts {
    async fn begin(&self) -> Result<i64> {
        match self.change(Change::BeginUpload).await? {
            Done::Upload(upload) => Ok(upload),
            other => Err(Error::corrupt(format!("upload has no number: {other:?}"))),
        }
    }

    async fn part(&self, upload: i64, number: u64, body: Bytes) -> Result<()> {
        let part = Change::Part {
            upload,
            number,
            body,
        };
        self.change(part).await.map(drop)
    }

    async fn end(&self, uploaded: Uploaded, key: &Key) -> Result<()> {
        let end = Change::EndUpload {
            uploaded,
            key: key.as_str().to_owned(),
        };
        let place = self.0.address();
        match self.change(end).await? {
            Done::PartsMissing => Err(Error::new(
                ErrorKind::Unavailable,
                format!("parts of an upload were removed before it ended: {key} in {place}"),
            )
            .with_hint(
                "write it again; parts of an upload that takes more than a day are removed",
            )),
            Done::Exists => Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("object exists: {key} in {place}"),
            )),
            _ => Ok(()),
        }
    }
}
