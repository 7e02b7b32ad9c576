//! An open database: connections that are used again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use esm_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;
use tokio_postgres::error::Severity;
use tokio_postgres::{Client, Row};

use super::failure::explain;
use super::query::Query;
use super::settings::Settings;
use super::tls;

/// Connections at the same time.
const CONNECTIONS: usize = 4;

/// Begins a transaction that cannot write, whatever the defaults of the database are.
const BEGIN_READ: &str = "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY";

/// An open database. Opens at most four connections, and uses them again. Clones share them.
///
/// Keeps no state in a session, so a pooler in transaction mode may be between. A call that waits
/// for a connection, or has one, needs no polling to continue: it cannot hold up another.
#[derive(Clone)]
pub struct Database(Arc<Connections>);

struct Connections {
    settings: Settings,
    idle: Mutex<Vec<Client>>,
    permits: Semaphore,
}

impl Database {
    /// Connects to a database.
    ///
    /// # Errors
    /// `PermissionDenied`, `NotFound` or `Unavailable`, naming the server; `Invalid` for
    /// certificates that cannot be read.
    pub async fn connect(settings: Settings) -> Result<Self> {
        let connections = Connections {
            settings,
            idle: Mutex::default(),
            permits: Semaphore::new(CONNECTIONS),
        };
        let first = connections.open().await?;
        connections.put_back(first);
        Ok(Self(Arc::new(connections)))
    }

    /// Returns the settings that it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Runs a query in a transaction of its own that cannot write. Retries once where a connection
    /// that was used before is found to be broken.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn read(&self, query: &Query) -> Result<Vec<Row>> {
        let (connections, query) = (Arc::clone(&self.0), query.clone());
        // a task of its own: a future that is not polled would keep its connection from all others
        let reading = tokio::spawn(async move { connections.read(&query).await });
        reading.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Runs one statement, which is a transaction of its own, and sends it once.
    pub(crate) async fn write(&self, query: &Query) -> Result<Vec<Row>, WriteError> {
        let (connections, query) = (Arc::clone(&self.0), query.clone());
        let writing = tokio::spawn(async move { connections.write(&query).await });
        let ended = |_| Err(WriteError::Interrupted(closed()));
        writing.await.unwrap_or_else(ended)
    }

    /// Opens a connection that the caller has to itself.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn open(&self) -> Result<Client> {
        self.0.open().await
    }
}

impl Connections {
    async fn read(&self, query: &Query) -> Result<Vec<Row>> {
        let _permit = self.permits.acquire().await.map_err(|_| closed())?;
        let Some(used) = self.take() else {
            return self.read_on(self.open().await?, query).await;
        };
        match self.read_on(used, query).await {
            Err(error) if *error.kind() == ErrorKind::Unavailable => {
                self.read_on(self.open().await?, query).await
            }
            read => read,
        }
    }

    /// The three statements are sent at once: one round trip. A connection that is dropped in
    /// between is not used again.
    async fn read_on(&self, client: Client, query: &Query) -> Result<Vec<Row>> {
        let values = query.values();
        let (begun, rows, ended) = futures::join!(
            client.batch_execute(BEGIN_READ),
            client.query_typed(query.sql(), &values),
            client.batch_execute("COMMIT"),
        );
        begun.map_err(explain)?;
        if ended.is_ok() {
            self.put_back(client);
        }
        rows.map_err(explain)
    }

    async fn write(&self, query: &Query) -> Result<Vec<Row>, WriteError> {
        let permit = self.permits.acquire().await;
        let _permit = permit.map_err(|_| WriteError::NotSent(closed()))?;
        let client = match self.take() {
            Some(client) => client,
            None => self.open().await.map_err(WriteError::NotSent)?,
        };
        // it ends when the server is ready again: a commit that failed is an error
        let written = client.query_typed(query.sql(), &query.values()).await;
        if written.as_ref().map_or_else(is_reported, |_| true) {
            self.put_back(client);
        }
        written.map_err(WriteError::Failed)
    }

    async fn open(&self) -> Result<Client> {
        let connector = tls::connector(&self.settings.tls)?;
        let connected = self.settings.config().connect(connector).await;
        let (client, connection) = connected.map_err(|error| {
            explain(error).context(format_args!("cannot connect to {}", self.settings))
        })?;
        // ends when the client is dropped
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        Ok(client)
    }

    fn take(&self) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|client| !client.is_closed());
        idle.pop()
    }

    fn put_back(&self, client: Client) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(client);
    }
}

/// Why a statement failed.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// There was no connection: it certainly did not take place.
    NotSent(Error),
    /// The server reported an error, or the connection broke.
    Failed(tokio_postgres::Error),
    /// The program ends: it may have taken place.
    Interrupted(Error),
}

/// Whether the server reported an error and is ready for the next statement.
fn is_reported(error: &tokio_postgres::Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|reported| reported.parsed_severity() == Some(Severity::Error))
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("settings", self.settings())
            .finish_non_exhaustive()
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "database was closed")
}
