//! Transactions as one message each.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use esm_core::{Error, ErrorKind, Result};
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::connection::{Database, explain};

/// The settings under which rows are compared as text. A row is read and rewritten under the same.
const PINNED: [(&str, &str); 6] = [
    ("DateStyle", "ISO, MDY"),
    ("TimeZone", "UTC"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("row_security", "off"),
];

/// What only a transaction that writes needs.
const WRITING: [(&str, &str); 2] = [
    ("idle_in_transaction_session_timeout", "1s"),
    ("synchronous_commit", "on"),
];

/// Results of a message before those of its statement: of `BEGIN` and of the settings.
const PREPARATIONS: usize = 2;

/// How long a statement waits for a lock that is not requested with NOWAIT.
const LOCK_TIMEOUT: Duration = Duration::from_millis(250);

/// A row of a result: every value is text.
pub(super) type Row = Vec<Option<String>>;

/// Sends transactions to a database, each as one message.
///
/// The server begins a message when it has all of it. So a client that is frozen or dies leaves no
/// transaction open.
#[derive(Clone)]
pub(super) struct Wire {
    database: Database,
    idle: Arc<Mutex<Vec<Client>>>,
}

/// Why a transaction that writes failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was rolled back, or never began.
    RolledBack { error: Error, is_transient: bool },
    /// It ran longer than allowed, and was rolled back.
    TooLong(Error),
    /// It may have been committed.
    Unknown(Error),
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::RolledBack { error, .. } | Self::TooLong(error) => error,
            Self::Unknown(error) => {
                Error::new(ErrorKind::Ambiguous, error.to_string()).with_source(error)
            }
        }
    }
}

/// Why a message brought no result.
enum Unsent {
    NotConnected(Error),
    Failed(tokio_postgres::Error),
}

impl Unsent {
    fn into_error(self) -> Error {
        match self {
            Self::NotConnected(error) => error,
            Self::Failed(error) => explain(error),
        }
    }
}

impl Wire {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database,
            idle: Arc::default(),
        }
    }

    /// Runs a query in a transaction that cannot write. Retries once where a connection that was
    /// used before is found to be broken.
    ///
    /// # Errors
    /// Those of the server.
    pub(super) async fn read(&self, query: &str) -> Result<Vec<Row>> {
        let message = format!(
            "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY; {}; {query}; COMMIT",
            set(&PINNED)
        );
        let used = self.take();
        let was_used = used.is_some();
        match self.send(used, &message).await {
            Err(Unsent::Failed(error)) if was_used && error.as_db_error().is_none() => {
                self.send(None, &message).await.map_err(Unsent::into_error)
            }
            read => read.map_err(Unsent::into_error),
        }
    }

    /// Runs a statement as a transaction that writes, at most this long, and sends it once.
    pub(super) async fn write(
        &self,
        statement: &str,
        longest: Duration,
    ) -> Result<Vec<Row>, Failure> {
        let (lock, statement_timeout) = (
            LOCK_TIMEOUT.as_millis().to_string(),
            longest.as_millis().to_string(),
        );
        let timeouts = [
            ("lock_timeout", lock.as_str()),
            ("statement_timeout", &statement_timeout),
        ];
        let settings = [&timeouts[..], &WRITING, &PINNED].concat();
        let message = format!(
            "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE; {}; {statement}; COMMIT",
            set(&settings)
        );
        self.send(self.take(), &message).await.map_err(failure)
    }

    async fn send(&self, client: Option<Client>, message: &str) -> Result<Vec<Row>, Unsent> {
        let client = match client {
            Some(client) => client,
            None => self.database.open().await.map_err(Unsent::NotConnected)?,
        };
        match client.simple_query(message).await {
            Ok(messages) => {
                self.put_back(client);
                Ok(rows(messages))
            }
            Err(error) => {
                // an error rolled the transaction back; the session still has to leave it
                let is_open = error.as_db_error().is_some_and(is_of_the_statement);
                if is_open && client.batch_execute("ROLLBACK").await.is_ok() {
                    self.put_back(client);
                }
                Err(Unsent::Failed(error))
            }
        }
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

/// The statement that makes settings for the rest of the transaction.
fn set(settings: &[(&str, &str)]) -> String {
    let set = settings
        .iter()
        .map(|(name, value)| format!("set_config('{name}', '{value}', true)"));
    format!("SELECT {}", set.collect::<Vec<_>>().join(", "))
}

/// The rows of all statements behind the preparations.
fn rows(messages: Vec<SimpleQueryMessage>) -> Vec<Row> {
    let mut completed = 0;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::CommandComplete(_) => {
            completed += 1;
            None
        }
        SimpleQueryMessage::Row(row) if completed >= PREPARATIONS => {
            let values = (0..row.len()).map(|column| row.get(column).map(str::to_owned));
            Some(values.collect())
        }
        _ => None,
    });
    rows.collect()
}

fn is_of_the_statement(reported: &tokio_postgres::error::DbError) -> bool {
    reported.parsed_severity() == Some(Severity::Error)
}

fn failure(unsent: Unsent) -> Failure {
    let error = match unsent {
        Unsent::Failed(error) => error,
        Unsent::NotConnected(error) => {
            let is_transient = *error.kind() == ErrorKind::Unavailable;
            return Failure::RolledBack {
                error,
                is_transient,
            };
        }
    };
    let Some(reported) = error.as_db_error().filter(|r| is_of_the_statement(r)) else {
        return Failure::Unknown(explain(error));
    };
    let code = reported.code().clone();
    let error = explain(error);
    if code == SqlState::QUERY_CANCELED {
        return Failure::TooLong(error);
    }
    let is_transient = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
    ]
    .contains(&code);
    Failure::RolledBack {
        error,
        is_transient,
    }
}
