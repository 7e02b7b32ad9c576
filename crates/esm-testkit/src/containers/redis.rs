//! Redis.

use std::path::Path;

use std::process::Command;
use testcontainers::core::IntoContainerPort as _;
use testcontainers_modules::redis::{REDIS_PORT, Redis as Image};

use super::server::{Server, exchange};
use super::shared::Shared;
use super::{docker, program};

/// A Redis that needs no password and keeps nothing.
///
/// ```no_run
/// # async fn test() {
/// let Some(redis) = esm_testkit::containers::redis().await else { return };
/// println!("a Redis is at {}", redis.url());
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    address: String,
}

/// Returns a Redis, or nothing where none can be started; see [the module](super).
///
/// ```no_run
/// # async fn test() {
/// let Some(redis) = esm_testkit::containers::redis().await else { return };
/// assert!(redis.url().starts_with("redis://127.0.0.1:"));
/// # }
/// ```
///
/// # Panics
/// In continuous integration, where none can be started.
pub async fn redis() -> Option<Redis> {
    static SHARED: Shared<Kind> = Shared::new();
    let address = SHARED.address().await?;
    Some(Redis { address })
}

impl Redis {
    /// Returns its address: `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

#[derive(Debug)]
pub(super) struct Kind;

impl Server for Kind {
    const NAME: &str = "redis";
    const WHAT: &str = "Redis";

    async fn container(name: &str) -> Result<String, String> {
        docker::start(Image::default(), name, REDIS_PORT.tcp()).await
    }

    fn program(port: u16, directory: &Path) -> Result<Command, String> {
        program::answers("redis-server", &["--version"])?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]);
        command.arg(directory);
        Ok(command)
    }

    async fn prepare(address: &str) -> Result<(), String> {
        match exchange(address, b"PING\r\n").await?.as_str() {
            "+PONG" => Ok(()),
            other => Err(format!("unexpected response to a ping: {other}")),
        }
    }
}
