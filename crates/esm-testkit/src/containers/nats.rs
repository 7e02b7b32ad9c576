//! NATS.

use std::path::Path;

use std::process::Command;
use testcontainers::ImageExt as _;
use testcontainers::core::IntoContainerPort as _;
use testcontainers_modules::nats::{Nats as Image, NatsServerCmd};

use super::server::{Server, exchange};
use super::shared::Shared;
use super::{docker, program};

/// A NATS server with JetStream, which needs no password and keeps nothing.
///
/// ```no_run
/// # async fn test() {
/// let Some(nats) = esm_testkit::containers::nats().await else { return };
/// println!("a NATS server is at {}", nats.url());
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nats {
    address: String,
}

/// Returns a NATS server, or nothing where none can be started; see [the module](super).
///
/// ```no_run
/// # async fn test() {
/// let Some(nats) = esm_testkit::containers::nats().await else { return };
/// assert!(nats.url().starts_with("nats://127.0.0.1:"));
/// # }
/// ```
///
/// # Panics
/// In continuous integration, where none can be started.
pub async fn nats() -> Option<Nats> {
    static SHARED: Shared<Kind> = Shared::new();
    let address = SHARED.address().await?;
    Some(Nats { address })
}

impl Nats {
    /// Returns its address: `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }
}

#[derive(Debug)]
pub(super) struct Kind;

impl Server for Kind {
    const NAME: &str = "nats";
    const WHAT: &str = "NATS";

    async fn container(name: &str) -> Result<String, String> {
        let image = Image::default().with_cmd(&NatsServerCmd::default().with_jetstream());
        docker::start(image, name, 4222.tcp()).await
    }

    fn program(port: u16, directory: &Path) -> Result<Command, String> {
        program::answers("nats-server", &["--version"])?;
        let mut command = Command::new("nats-server");
        command.args(["--addr", "127.0.0.1", "--port", &port.to_string()]);
        command.arg("--jetstream").arg("--store_dir").arg(directory);
        Ok(command)
    }

    async fn prepare(address: &str) -> Result<(), String> {
        // the server sends first
        let said = exchange(address, b"").await?;
        if said.starts_with("INFO ") && said.contains("\"jetstream\":true") {
            Ok(())
        } else {
            Err(format!("unexpected greeting: {said}"))
        }
    }
}
