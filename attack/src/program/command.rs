//! Running `esm`.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::{Ended, Outcome};

/// The binary.
#[derive(Debug, Clone)]
pub(crate) struct Esm(PathBuf);

impl Esm {
    pub(crate) fn at(binary: &Path) -> Result<Self> {
        let binary = binary
            .canonicalize()
            .with_context(|| format!("no such binary: {}", binary.display()))?;
        Ok(Self(binary))
    }

    pub(crate) fn binary(&self) -> &Path {
        &self.0
    }

    /// A command on a store, without the caller's settings.
    pub(crate) fn on<S: AsRef<OsStr>>(&self, store: &Path, words: &[S]) -> Command {
        let mut command = Command::new(&self.0);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ESM_") {
                command.env_remove(&name);
            }
        }
        command
            .env("ESM_PROGRESS", "off")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .arg("--store")
            .arg(store)
            .args(words);
        command
    }

    /// Runs words that a blank separates, with JSON as output, to the end.
    pub(crate) fn ask(&self, store: &Path, line: &str, limit: Duration) -> Result<Outcome> {
        let mut words = vec!["--output", "json"];
        words.extend(line.split(' '));
        run(&mut self.on(store, &words), limit)
    }

    /// As `ask`, for a command that must succeed because nothing is wrong.
    pub(crate) fn must(&self, store: &Path, line: &str, limit: Duration) -> Result<Outcome> {
        let outcome = self.ask(store, line, limit)?;
        anyhow::ensure!(
            outcome.ended == Ended::Code(0),
            "esm {line} on a sound store: {outcome}"
        );
        Ok(outcome)
    }
}

/// Runs a command to its end, or kills it after the limit.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Outcome> {
    run_for(command, limit, Ended::Hung(limit))
}

/// Runs a command and kills it after this time, unless it has ended.
pub(crate) fn kill_after(command: &mut Command, delay: Duration) -> Result<Outcome> {
    run_for(command, delay, Ended::Signal(9))
}

fn run_for(command: &mut Command, limit: Duration, late: Ended) -> Result<Outcome> {
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut child = command
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?)
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let ended = match wait(&mut child, limit)? {
        Ended::Hung(_) => late,
        ended => ended,
    };
    Ok(Outcome {
        ended,
        stdout: text(&mut out)?,
        stderr: text(&mut err)?,
    })
}

/// Waits for a process, and kills it after the limit.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Result<Ended> {
    let pid = Pid::from_raw(child.id() as i32).context("a process without a number")?;
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        // not reaped here, so that its number is not used again before it is killed
        let _ = waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        );
        let _ = ended.send(());
    });
    if end.recv_timeout(limit).is_err() {
        child.kill()?;
        child.wait()?;
        return Ok(Ended::Hung(limit));
    }
    Ok(of(child.wait()?))
}

fn of(status: ExitStatus) -> Ended {
    match status.code() {
        Some(code) => Ended::Code(code),
        None => Ended::Signal(status.signal().unwrap_or_default()),
    }
}

fn text(file: &mut File) -> Result<String> {
    use std::io::{Read as _, Seek as _};
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
