//! A console, and the requests that its page sends for the buttons.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use esm_core::clock::Environment;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::migrator::{Steering, program};
use crate::process::{PATIENCE, Process};
use crate::world::World;

/// Between two polls for the answer to a command.
const LOOK: Duration = Duration::from_millis(200);

/// A console that permits commands, signed in to.
#[derive(Debug)]
pub(crate) struct Console {
    process: Process,
    address: String,
    cookie: String,
    /// The path of the only store in addresses.
    store: String,
}

impl Console {
    /// Starts a console on the store of this world, and signs in.
    pub(crate) async fn start(world: &World, name: &str) -> Result<Self> {
        let mut command = program(world)?;
        let arguments = ["console", "--allow-control", "--listen=127.0.0.1:0"];
        command.args(arguments).args(["--output", "json"]);
        world.storage().let_in(&mut command);
        command.stderr(Stdio::from(std::fs::File::create_new(
            world.path(&format!("{name}.log")),
        )?));
        let (mut process, speech) = Process::converse(world.warden(), name, &mut command)?;
        let mut lines = BufReader::new(speech.output).lines();
        let Some(line) = lines.next_line().await? else {
            bail!("{name} ended with {}", process.ended().await?);
        };
        // what it says of sign-ins is of no use here
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let started: Value = serde_json::from_str(&line)?;
        let link = started["link"].as_str().context("no link")?;
        let (address, code) = link
            .trim_start_matches("http://")
            .split_once("/#code=")
            .context("no code")?;
        let mut console = Self {
            process,
            address: address.to_owned(),
            cookie: String::new(),
            store: String::new(),
        };
        console.sign_in(code).await?;
        let stores = console.document("/api/v1/stores").await?;
        let store = stores["stores"][0]["store"].as_str().context("no store")?;
        store.clone_into(&mut console.store);
        Ok(console)
    }

    async fn sign_in(&mut self, code: &str) -> Result<()> {
        let (form, code) = ("application/x-www-form-urlencoded", format!("code={code}"));
        let reply = self.ask("POST /session", form, &code).await?;
        let cookie = reply.lines().find_map(|l| l.strip_prefix("set-cookie: "));
        let cookie = cookie.and_then(|cookie| cookie.split(';').next());
        cookie.context(reply.clone())?.clone_into(&mut self.cookie);
        Ok(())
    }

    /// Gives a command to the migration that is on, as the button of its page does. It must be accepted.
    pub(crate) async fn give(&self, command: Steering) -> Result<()> {
        let migrations = format!("/api/v1/stores/{}/migrations", self.store);
        let listed = self.document(&migrations).await?;
        let all = listed["migrations"].as_array().context("no migrations")?;
        let running = all.iter().find(|one| one["condition"] != "ended");
        let id = running.and_then(|one| one["migration"].as_str());
        let id = id.with_context(|| format!("no migration is on: {listed}"))?;
        let (act, mut body) = command.posted();
        body["reason"] = json!("chaos");
        if command == Steering::Cancel {
            body["confirm"] = json!(id.get(id.len().saturating_sub(8)..));
        }
        let path = format!("POST /s/{}/migrations/{id}/{act}", self.store);
        let body = body.to_string();
        let reply = content(&self.ask(&path, "application/json", &body).await?)?;
        ensure!(reply["refused"] == false, "{act}: {reply}");
        if reply["answer"].is_null() {
            let command = reply["command"]["id"].clone();
            self.accepted(&format!("{migrations}/{id}"), &command)
                .await
                .context(act)?;
        }
        Ok(())
    }

    /// Waits until the migration has accepted a command.
    async fn accepted(&self, migration: &str, command: &Value) -> Result<()> {
        let clock = Environment::system().clock;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let seen = self.document(migration).await?;
            let commands = seen["commands"].as_array().context("no commands")?;
            let given = commands.iter().find(|one| one["id"] == *command);
            match given.map(|given| &given["answer"]["answer"]) {
                Some(answer) if answer == "refused" => bail!("refused: {seen}"),
                Some(answer) if !answer.is_null() => return Ok(()),
                _ => clock.sleep(LOOK).await,
            }
        }
        bail!("a command is never answered")
    }

    async fn document(&self, path: &str) -> Result<Value> {
        let reply = self
            .ask(&format!("GET {path}"), "application/json", "")
            .await?;
        content(&reply)
    }

    /// Head and body of the answer to a request.
    async fn ask(&self, line: &str, media_type: &str, body: &str) -> Result<String> {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: {}\r\n\
             Content-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            self.cookie,
            body.len()
        );
        let asked = async {
            let mut stream = TcpStream::connect(&self.address).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply).await?;
            anyhow::Ok(reply)
        };
        let answered = tokio::time::timeout(PATIENCE, asked).await;
        answered.with_context(|| format!("{} does not answer", self.process.name()))?
    }
}

/// The document of an answer that is a success.
fn content(reply: &str) -> Result<Value> {
    let (head, body) = reply.split_once("\r\n\r\n").context("no answer")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{reply}");
    serde_json::from_str(body).with_context(|| reply.to_owned())
}
