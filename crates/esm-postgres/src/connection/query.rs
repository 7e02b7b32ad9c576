//! A statement and its values.

use std::fmt;
use std::sync::Arc;

use tokio_postgres::types::{ToSql, Type};

/// A statement and its values. Clones share the values.
///
/// The type of each value is stated, so that the statement need not be prepared: a pooler in
/// transaction mode keeps no prepared statements.
#[derive(Clone)]
pub struct Query {
    sql: Arc<str>,
    values: Vec<(Arc<dyn ToSql + Send + Sync>, Type)>,
}

impl Query {
    /// Creates a query without values.
    pub fn new(sql: &str) -> Self {
        Self {
            sql: sql.into(),
            values: Vec::new(),
        }
    }

    /// Adds the next value: the first is `$1`.
    #[must_use]
    pub fn with(mut self, value: impl ToSql + Send + Sync + 'static, kind: Type) -> Self {
        self.values.push((Arc::new(value), kind));
        self
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    pub(super) fn values(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        let values = self.values.iter();
        values
            .map(|(value, kind)| (&**value as _, kind.clone()))
            .collect()
    }
}

/// Without the values, which may be events.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("sql", &self.sql)
            .finish_non_exhaustive()
    }
}
