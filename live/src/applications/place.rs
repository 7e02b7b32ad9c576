//! The database of an application, seen from outside; and the real `esm` on it.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio_postgres::{Client, NoTls, Row};

use super::Kind;
use crate::process::{Process, Speech, Warden};

/// A database that an application has to itself.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) kind: Kind,
    /// Without the password, as `esm` gets it.
    pub(super) address: String,
    pub(super) password: &'static str,
    pub(super) warden: Warden,
}

impl Place {
    /// The address with the password, as applications get it.
    pub(super) fn url(&self) -> String {
        let with_password = format!("postgres:{}@", self.password);
        self.address.replacen("postgres@", &with_password, 1)
    }

    /// All events as they are stored.
    pub(super) async fn rows(&self) -> Result<Vec<Row>> {
        let client = self.connect().await?;
        Ok(client.query(self.kind.rows(), &[]).await?)
    }

    /// A connection of somebody who looks on.
    pub(super) async fn connect(&self) -> Result<Client> {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Runs `esm`, which must succeed, and returns its result.
    pub(super) async fn esm(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = Command::new(std::env::current_exe()?.with_file_name("esm"));
        // options that the user has set for a store of their own are not meant for this one
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("ESM_") {
                command.env_remove(variable);
            }
        }
        command
            .env("ESM_STORE", &self.address)
            .env("PGPASSWORD", self.password)
            .args(["--progress", "off", "--log", "warn", "--output", "json"])
            .args(arguments);
        let name = format!("esm {}", arguments.join(" "));
        let (mut process, speech) = Process::converse(&self.warden, &name, &mut command)?;
        let Speech { input, mut output } = speech;
        drop(input);
        let mut printed = String::new();
        output.read_to_string(&mut printed).await?;
        let status = process.ended().await?;
        ensure!(
            status.success(),
            "{name} ended with {status}, on {}",
            self.address
        );
        serde_json::from_str(&printed).with_context(|| format!("{name} printed {printed}"))
    }
}
