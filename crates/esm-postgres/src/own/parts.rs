//! Uploads: rows of parts, which an object takes over at the end.

use async_trait::async_trait;
use bytes::Bytes;
use esm_cells::{Key, PartStore, Uploaded};
use esm_core::{Error, ErrorKind, Result};
use tokio_postgres::types::Type;

use super::rows::Rows;
use crate::connection::Parameter;

/// The parts of uploads.
#[derive(Debug, Clone)]
pub(super) struct Parts(pub(super) Rows);

#[async_trait]
impl PartStore for Parts {
    async fn begin(&self) -> Result<i64> {
        let begun = self.0.write_again(&self.0.statements().begin, &[]).await?;
        let number = begun.first().map(|row| row.get(0));
        number.ok_or_else(|| Error::corrupt("upload has no number"))
    }

    async fn part(&self, upload: i64, number: u64, body: Bytes) -> Result<()> {
        let number = number as i64;
        let parameters: [Parameter<'_>; 3] = [
            (&upload, Type::INT8),
            (&number, Type::INT8),
            (&&body[..], Type::BYTEA),
        ];
        let part = &self.0.statements().part;
        self.0.write_again(part, &parameters).await.map(drop)
    }

    async fn end(&self, uploaded: Uploaded, key: &Key) -> Result<()> {
        let (parts, bytes) = (uploaded.parts as i64, uploaded.bytes as i64);
        let parameters: [Parameter<'_>; 4] = [
            (&key.as_str(), Type::TEXT),
            (&uploaded.upload, Type::INT8),
            (&parts, Type::INT8),
            (&bytes, Type::INT8),
        ];
        let ended = self
            .0
            .write_again(&self.0.statements().end, &parameters)
            .await?;
        if !ended.is_empty() {
            return Ok(());
        }
        // an earlier attempt may have created it
        match self.0.upload_of(key).await? {
            Some(Some(upload)) if upload == uploaded.upload => Ok(()),
            Some(_) => Err(self.0.exists(key)),
            None => Err(Error::new(
                ErrorKind::Unavailable,
                format!("parts of an upload were removed before it ended: {key}"),
            )
            .with_hint(
                "write it again; parts of an upload that takes more than a day are removed",
            )),
        }
    }
}
