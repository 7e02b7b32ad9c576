//! The rows of a schema, read and written.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use esm_cells::{Key, WriteFailure};
use esm_core::backoff::BackOff;
use esm_core::clock::Environment;
use esm_core::{Error, ErrorKind, Result};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::failure::{of_write, with_grant};
use super::schema::Schema;
use super::statements::Statements;
use crate::connection::{Database, Query, WriteError};

/// Keys that are listed at once.
pub(super) const PAGE: i64 = 1_000;

/// Attempts of a read, and of a write that may be repeated: a server that is restarted is back by
/// then.
const AGAIN: BackOff = BackOff::new(7, Duration::from_millis(100), Duration::from_secs(3));

/// The rows of a schema.
#[derive(Clone)]
pub(super) struct Rows {
    database: Database,
    statements: Arc<Statements>,
    address: Arc<str>,
    place: Arc<str>,
    environment: Environment,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Rows {
    pub(super) fn new(
        database: Database,
        schema: &Schema,
        place: String,
        environment: Environment,
    ) -> Self {
        Self {
            address: database.settings().to_string().into(),
            statements: Arc::new(Statements::new(schema)),
            database,
            place: place.into(),
            environment,
        }
    }

    pub(super) fn statements(&self) -> &Statements {
        &self.statements
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn canonical_place(&self) -> &str {
        &self.place
    }

    pub(super) async fn read(&self, query: &Query) -> Result<Vec<Row>> {
        let mut back_off = AGAIN;
        loop {
            match self.database.read(query).await {
                Err(error)
                    if *error.kind() == ErrorKind::Unavailable
                        && back_off.pause(&self.environment).await => {}
                read => return read.map_err(|error| with_grant(error).context(&self.address)),
            }
        }
    }

    pub(super) async fn write(&self, query: &Query) -> Result<Vec<Row>, WriteFailure> {
        let mut back_off = AGAIN;
        loop {
            match self.database.write(query).await {
                // nothing was sent: trying to connect again repeats no write
                Err(WriteError::NotSent(error))
                    if *error.kind() == ErrorKind::Unavailable
                        && back_off.pause(&self.environment).await => {}
                written => return written.map_err(|failure| of_write(failure, &self.address)),
            }
        }
    }

    /// Makes a write that may take place several times.
    pub(super) async fn write_again(&self, query: &Query) -> Result<Vec<Row>> {
        let mut back_off = AGAIN;
        loop {
            let failure = match self.write(query).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => failure,
            };
            let in_doubt = matches!(failure, WriteFailure::Unknown(_));
            let error = failure.into_error();
            let again = in_doubt || *error.kind() == ErrorKind::Unavailable;
            if !again || !back_off.pause(&self.environment).await {
                return Err(error);
            }
        }
    }

    /// Returns the upload that an object was made of, if it was made of one; nothing where there is
    /// no object.
    pub(super) async fn upload_of(&self, key: &Key) -> Result<Option<Option<i64>>> {
        let query = Query::new(&self.statements.upload_of).with(key.to_string(), Type::TEXT);
        let rows = self.read(&query).await?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    /// Removes parts of uploads whose processes died.
    pub(super) async fn sweep(&self) {
        if let Err(failure) = self.write(&Query::new(&self.statements.sweep)).await {
            let cause = failure.into_error();
            tracing::debug!(%cause, "litter of uploads not removed");
        }
    }

    pub(super) fn exists(&self, key: &Key) -> Error {
        Error::new(
            ErrorKind::AlreadyExists,
            format!("object exists: {key} in {}", self.address),
        )
    }

    /// Returns a page of the keys below a folder that follow another.
    pub(super) async fn page(&self, folder: &str, after: &str) -> Result<Vec<String>> {
        // what is below a folder begins with its name and a slash, and '0' is the byte after it
        let (first, end) = match folder {
            "" => (String::new(), None),
            folder => (format!("{folder}/"), Some(format!("{folder}0"))),
        };
        let query = Query::new(&self.statements.list)
            .with(first, Type::TEXT)
            .with(after.to_owned(), Type::TEXT)
            .with(end, Type::TEXT)
            .with(PAGE, Type::INT8);
        let rows = self.read(&query).await?;
        Ok(rows.into_iter().map(|row| row.get(0)).collect())
    }
}
