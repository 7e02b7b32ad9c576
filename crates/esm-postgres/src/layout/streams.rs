//! The streams of a layout: their objects, keys and documents.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use esm_core::id::{ObjectId, ObjectName};
use esm_core::{Error, ErrorKind, Result};
use esm_layout::{Layout, Queries};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use lru::LruCache;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::row::{texts, value};
use crate::connection::{Database, Query};

/// Streams of a page of a listing.
const PAGE: usize = 1_000;

/// Keys of streams that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// The streams of a layout in a database.
#[derive(Debug)]
pub(crate) struct LayoutStreams {
    pub(crate) database: Database,
    pub(crate) layout: Layout,
    pub(crate) queries: Queries,
    keys: Mutex<LruCache<ObjectId, Vec<String>>>,
}

impl LayoutStreams {
    pub(crate) fn new(database: Database, layout: Layout, queries: Queries) -> Self {
        Self {
            database,
            layout,
            queries,
            keys: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }

    /// Runs a query about a stream: its key, then these parameters.
    pub(crate) async fn read(
        &self,
        sql: &str,
        key: &[String],
        numbers: &[i64],
    ) -> Result<Vec<Row>> {
        let query = key.iter().fold(Query::new(sql), |query, value| {
            query.with(value.clone(), Type::TEXT)
        });
        let query = numbers
            .iter()
            .fold(query, |query, number| query.with(*number, Type::INT8));
        self.database.read(&query).await
    }

    /// Returns the key of an object's stream; `None` if there is none. Without a table of streams,
    /// an object without events has a key too.
    pub(crate) async fn key(&self, object: &ObjectId) -> Result<Option<Vec<String>>> {
        let Some(values) = self.layout.object.values(object) else {
            return Ok(None);
        };
        let values: Vec<String> = values.into_iter().flatten().collect();
        let Some(resolve) = &self.queries.resolve else {
            let places = &self.queries.key_of_object;
            return Ok(Some(places.iter().map(|n| values[*n].clone()).collect()));
        };
        if let Some(known) = self.remembered(object) {
            return Ok(Some(known));
        }
        let Some(row) = none_if_invalid(self.read(resolve, &values, &[]).await)?.pop() else {
            return Ok(None);
        };
        let key: Option<Vec<String>> = texts(&row, 0..row.len())?.into_iter().collect();
        if let Some(key) = &key {
            self.keys().put(object.clone(), key.clone());
        }
        Ok(key)
    }

    /// Remembers the key that a listing says, where it would have to be looked up.
    fn remember(&self, object: &ObjectId, order: &[Option<String>]) {
        if self.queries.resolve.is_none() {
            return;
        }
        let places = self.queries.key_of_listed().iter();
        let key: Option<Vec<String>> = places.map(|place| order.get(*place)?.clone()).collect();
        if let Some(key) = key {
            self.keys().put(object.clone(), key);
        }
    }

    fn keys(&self) -> MutexGuard<'_, LruCache<ObjectId, Vec<String>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self, object: &ObjectId) -> Option<Vec<String>> {
        self.keys().get(object).cloned()
    }

    /// Returns the time of the first event of an object, if its layout has times; `None` for an
    /// object that does not exist.
    pub(crate) async fn begun(&self, object: &ObjectId) -> Result<Option<Option<String>>> {
        let Some(key) = self.key(object).await? else {
            return Ok(None);
        };
        let first = self.read(&self.queries.first_time, &key, &[]).await;
        match none_if_invalid(first)?.first() {
            Some(row) => Ok(Some(value(row, 0)?)),
            // a stream of which the table of streams says that it exists
            None => Ok(self.queries.resolve.is_some().then_some(None)),
        }
    }

    /// Lists the objects, or those of one name, a page at a time.
    pub(crate) fn objects(&self, name: Option<ObjectName>) -> BoxStream<'_, Result<ObjectId>> {
        let begin = Some(None::<Vec<String>>);
        stream::try_unfold((begin, name), move |(place, name)| async move {
            let Some(after) = place else { return Ok(None) };
            let (objects, next) = self.page(name.as_ref(), after.as_deref()).await?;
            Ok::<_, Error>(Some((stream::iter(objects), (next.map(Some), name))))
        })
        .try_flatten()
        .boxed()
    }

    /// A page of objects, and where the next one begins.
    async fn page(
        &self,
        name: Option<&ObjectName>,
        after: Option<&[String]>,
    ) -> Result<(Vec<Result<ObjectId>>, Option<Vec<String>>)> {
        let listing = self.queries.list(name, after, PAGE);
        let rows = self.read(&listing.sql, &listing.parameters, &[]).await?;
        let named = self.layout.object.columns().len();
        let mut objects = Vec::new();
        for row in &rows {
            let object = self.layout.object.object(&texts(row, 0..named)?);
            let is_other = |object: &ObjectId| name.is_some_and(|name| object.name() != name);
            if object.as_ref().is_ok_and(is_other) {
                continue;
            }
            if let Ok(object) = &object {
                self.remember(object, &texts(row, named..row.len())?);
            }
            objects.push(object);
        }
        let Some(last) = rows.last().filter(|_| rows.len() == PAGE) else {
            return Ok((objects, None));
        };
        // where a column of the order is null, there is no place after it; nulls sort last
        let next: Option<Vec<String>> = texts(last, named..last.len())?.into_iter().collect();
        Ok((objects, next))
    }
}

/// A value that is none of a column's type names no stream.
fn none_if_invalid(rows: Result<Vec<Row>>) -> Result<Vec<Row>> {
    match rows {
        Err(e) if *e.kind() == ErrorKind::Invalid => Ok(Vec::new()),
        rows => rows,
    }
}
