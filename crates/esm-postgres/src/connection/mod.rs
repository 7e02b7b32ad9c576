//! Connecting to a database: settings, TLS, failures, and connections that are used again.

mod database;
mod failure;
mod password_file;
mod settings;
mod tls;

pub(crate) use database::WriteError;
pub use database::{Database, Parameter};
pub(crate) use failure::explain;
pub use settings::{Settings, SslMode};
