//! Uploads: rows of parts, which an object takes over at the end.

use async_trait::async_trait;
use bytes::Bytes;
use esm_cells::{Key, PartStore, Uploaded};
use esm_core::{Error, ErrorKind, Result};
use tokio_postgres::types::Type;

use super::rows::Rows;
use crate::connection::Query;

/// The parts of uploads.
#[derive(Debug, Clone)]
pub(super) struct Parts(pub(super) Rows);

#[async_trait]
impl PartStore for Parts {
    async fn begin(&self) -> Result<i64> {
        let begun = self
            .0
            .write_again(&Query::new(&self.0.statements().begin))
            .await?;
        let number = begun.first().map(|row| row.get(0));
        number.ok_or_else(|| Error::corrupt("upload has no number"))
    }

    async fn part(&self, upload: i64, number: u64, body: Bytes) -> Result<()> {
        let query = Query::new(&self.0.statements().part)
            .with(upload, Type::INT8)
            .with(number as i64, Type::INT8)
            .with(body.to_vec(), Type::BYTEA);
        self.0.write_again(&query).await.map(drop)
    }

    async fn end(&self, uploaded: Uploaded, key: &Key) -> Result<()> {
        let query = Query::new(&self.0.statements().end)
            .with(key.to_string(), Type::TEXT)
            .with(uploaded.upload, Type::INT8)
            .with(uploaded.parts as i64, Type::INT8)
            .with(uploaded.bytes as i64, Type::INT8);
        let ended = self.0.write_again(&query).await?;
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
