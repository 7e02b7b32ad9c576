//! The database of an application, seen from outside; and the real `esm` on it.

use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStdout, Command};
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

    /// How far the newest migration is, if there is one.
    pub(super) async fn status(&self) -> Result<Option<String>> {
        let newest = "SELECT status FROM esm_in_place.migration ORDER BY began_at DESC LIMIT 1";
        Ok(self
            .of_migrations(newest)
            .await?
            .map(|row| row.try_get(0))
            .transpose()?)
    }

    /// How many events are archived, and how many of them were restored.
    pub(super) async fn written(&self) -> Result<(i64, i64)> {
        let all = "SELECT count(*), count(undone_at) FROM esm_in_place.archive";
        match self.of_migrations(all).await? {
            Some(row) => Ok((row.try_get(0)?, row.try_get(1)?)),
            None => Ok((0, 0)),
        }
    }

    /// A row of what esm has written down, if it has.
    async fn of_migrations(&self, query: &str) -> Result<Option<Row>> {
        let client = self.connect().await?;
        let exists = "SELECT to_regclass('esm_in_place.swap') IS NOT NULL";
        if !client.query_one(exists, &[]).await?.try_get::<_, bool>(0)? {
            return Ok(None);
        }
        Ok(client.query_opt(query, &[]).await?)
    }

    /// Runs `esm`, which must succeed, and returns its result.
    pub(super) async fn esm(&self, arguments: &[&str]) -> Result<Value> {
        let name = format!("esm {}", arguments.join(" "));
        let (status, printed) = self.spawn(arguments, Stdio::inherit())?.end().await?;
        ensure!(
            status.success(),
            "{name} ended with {status}, on {}",
            self.address
        );
        serde_json::from_str(&printed).with_context(|| format!("{name} printed {printed}"))
    }

    /// Starts `esm`, which may fail without saying so.
    pub(super) fn start(&self, arguments: &[&str]) -> Result<Esm> {
        self.spawn(arguments, Stdio::null())
    }

    fn spawn(&self, arguments: &[&str], errors: Stdio) -> Result<Esm> {
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
            .args(arguments)
            .stderr(errors);
        let name = format!("esm {}", arguments.join(" "));
        let (process, speech) = Process::converse(&self.warden, &name, &mut command)?;
        let Speech { input, output } = speech;
        drop(input);
        Ok(Esm { process, output })
    }
}

/// An `esm` at work.
#[derive(Debug)]
pub(super) struct Esm {
    pub(super) process: Process,
    output: ChildStdout,
}

impl Esm {
    /// Waits for its end, and returns what it printed.
    pub(super) async fn end(mut self) -> Result<(ExitStatus, String)> {
        let mut printed = String::new();
        self.output.read_to_string(&mut printed).await?;
        Ok((self.process.ended().await?, printed))
    }
}
