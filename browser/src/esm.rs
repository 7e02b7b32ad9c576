//! `esm`, as users start it.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// How long a process may take to say something.
const PATIENCE: Duration = Duration::from_secs(60);

/// `esm` on a store.
#[derive(Debug, Clone)]
pub(crate) struct Esm {
    program: PathBuf,
    store: String,
}

impl Esm {
    pub(crate) fn new(program: &Path, store: &Path) -> Self {
        Self {
            program: program.to_owned(),
            store: format!("file://{}", store.display()),
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ESM_") {
                command.env_remove(name);
            }
        }
        command
            .env("ESM_STORE", &self.store)
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// With what it printed, where it fails.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("esm {}: {}: {said}", arguments.join(" "), output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The document of a migration.
    pub(crate) fn status(&self, migration: &str) -> Result<Value> {
        let text = self.run(&["status", migration, "--output", "json"])?;
        serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
    }

    /// The newest migration, once there is one that is none of these.
    pub(crate) fn new_migration(&self, known: &[String]) -> Result<Option<String>> {
        let all: Value =
            serde_json::from_str(&self.run(&["status", "--all", "--output", "json"])?)?;
        let all = all["migrations"].as_array().cloned().unwrap_or_default();
        let ids = all.iter().filter_map(|one| one["migration"].as_str());
        Ok(ids
            .rev()
            .find(|id| !known.iter().any(|k| k == id))
            .map(str::to_owned))
    }

    /// Begins a migration of everything, with these options.
    pub(crate) fn migrate(&self, program: &Path, options: &[&str]) -> Result<Process> {
        let program = program.to_string_lossy();
        let mut command = self.command(&["migrate", "--yes", "--all", "--transform", &program]);
        command.args(options);
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Process(child))
    }

    /// Begins a console, and waits until it listens.
    pub(crate) fn console(&self, arguments: &[&str]) -> Result<Console> {
        let mut command = self.command(&["console"]);
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (said, lines) = mpsc::channel();
        let output: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|o| Box::new(o) as _),
            child.stderr.take().map(|o| Box::new(o) as _),
        ];
        for output in output.into_iter().flatten() {
            let said = said.clone();
            std::thread::spawn(move || {
                let lines = BufReader::new(output).lines().map_while(Result::ok);
                lines.for_each(|line| drop(said.send(line)));
            });
        }
        let mut console = Console {
            process: Process(child),
            lines,
            address: String::new(),
            first: None,
        };
        let link = console.link()?;
        let (address, _) = link.split_once("/#").context("no fragment")?;
        address.clone_into(&mut console.address);
        console.first = Some(link);
        Ok(console)
    }
}

/// A process that ends with this value.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Waits for its end. Returns whether it was a success.
    pub(crate) fn ended(&mut self) -> Result<bool> {
        Ok(self.0.wait()?.success())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running console.
#[derive(Debug)]
pub(crate) struct Console {
    process: Process,
    lines: Receiver<String>,
    pub(crate) address: String,
    first: Option<String>,
}

impl Console {
    /// Ends it.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.process.0.kill()?;
        self.process.0.wait()?;
        Ok(())
    }

    /// A link that signs a browser in. The console prints another after each sign-in.
    ///
    /// # Errors
    /// Where it prints none.
    pub(crate) fn link(&mut self) -> Result<String> {
        if let Some(link) = self.first.take() {
            return Ok(link);
        }
        let mut said = String::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.with_context(|| format!("the console prints no link: {said}"))?;
            let is_end = |c: char| c.is_whitespace() || c == '"';
            if let Some(link) = line.split(is_end).find(|word| word.contains("/#code=")) {
                return Ok(link.to_owned());
            }
            said += &line;
        }
    }
}
