//! Objects as rows.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use esm_cells::{Key, Objects, Upload, WriteFailure, list_in_pages, upload_in_parts};
use esm_core::Result;
use futures::stream::BoxStream;
use tokio_postgres::types::Type;

use super::parts::Parts;
use super::range::{InParts, InRow};
use super::rows::{PAGE, Rows};
use crate::connection::Query;

#[async_trait]
impl Objects for Rows {
    fn location(&self) -> &str {
        self.address()
    }

    fn place(&self) -> Option<&str> {
        Some(self.canonical_place())
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<Bytes>> {
        let range = range.unwrap_or(0..u64::MAX);
        let (in_row, in_parts) = (InRow::of(&range), InParts::of(&range));
        let query = Query::new(&self.statements().get)
            .with(key.to_string(), Type::TEXT)
            .with(in_row.from, Type::INT4)
            .with(in_row.length, Type::INT4)
            .with(in_parts.first, Type::INT8)
            .with(in_parts.last, Type::INT8);
        let rows = self.read(&query).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let (upload, body): (Option<i64>, Option<&[u8]>) = (row.get(1), row.get(2));
        let body = Bytes::copy_from_slice(body.unwrap_or_default());
        Ok(Some(match upload {
            Some(_) => in_parts.cut(body),
            None => body,
        }))
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        let query = Query::new(&self.statements().size).with(key.to_string(), Type::TEXT);
        let rows = self.read(&query).await?;
        Ok(rows.first().map(|row| row.get::<_, i64>(0).unsigned_abs()))
    }

    async fn create(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure> {
        let query = Query::new(&self.statements().create)
            .with(key.to_string(), Type::TEXT)
            .with(body.to_vec(), Type::BYTEA);
        let created = self.write(&query).await?;
        if created.is_empty() {
            return Err(WriteFailure::Exists(self.exists(key)));
        }
        Ok(())
    }

    async fn overwrite(&self, key: &Key, body: Bytes) -> Result<(), WriteFailure> {
        let query = Query::new(&self.statements().overwrite)
            .with(key.to_string(), Type::TEXT)
            .with(body.to_vec(), Type::BYTEA);
        self.write(&query).await.map(drop)
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let query = Query::new(&self.statements().delete).with(key.to_string(), Type::TEXT);
        let deleted = self.write(&query).await;
        deleted.map(drop).map_err(WriteFailure::into_error)
    }

    fn list(&self, folder: &Key) -> BoxStream<'static, Result<Key>> {
        let (this, folder) = (self.clone(), folder.as_str().to_owned());
        list_in_pages(PAGE as usize, move |after| {
            let (this, folder) = (this.clone(), folder.clone());
            async move { this.page(&folder, &after).await }
        })
    }

    fn upload(&self, key: &Key) -> Upload {
        upload_in_parts(Parts(self.clone()), key)
    }
}
