//! Connecting to a database: settings, TLS, failures, and connections that are used again.

mod database;
mod failure;
mod password_file;
mod query;
mod settings;
mod tls;

pub use database::Database;
pub(crate) use database::WriteError;
pub(crate) use failure::explain;
pub use query::Query;
pub use settings::{Settings, SslMode};
