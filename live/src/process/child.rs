//! A process of ours.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::Warden;

/// How long anything may take that must end by itself: a guard against hanging, no bound on speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// A process of ours. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    pid: Pid,
    warden: Warden,
}

/// The two ends of a conversation with a process.
#[derive(Debug)]
pub(crate) struct Speech {
    pub(crate) input: ChildStdin,
    pub(crate) output: ChildStdout,
}

impl Process {
    /// Starts it, without input.
    pub(crate) fn start(warden: &Warden, name: &str, command: &mut Command) -> Result<Self> {
        Self::spawn(warden, name, command.stdin(Stdio::null()))
    }

    /// Starts it so that it can be spoken with. Such a process ends when its input does.
    pub(crate) fn converse(
        warden: &Warden,
        name: &str,
        command: &mut Command,
    ) -> Result<(Self, Speech)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Self::spawn(warden, name, command)?;
        let speech = Speech {
            input: process.child.stdin.take().context("no input")?,
            output: process.child.stdout.take().context("no output")?,
        };
        Ok((process, speech))
    }

    fn spawn(warden: &Warden, name: &str, command: &mut Command) -> Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid as i32));
        let pid = pid.with_context(|| format!("{name} has no number"))?;
        warden.started(pid)?;
        Ok(Self {
            name: name.to_owned(),
            child,
            pid,
            warden: warden.clone(),
        })
    }

    /// What it is, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Stops it where it is, wakes it, or kills it. One that has ended is left alone.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            kill_process(self.pid, signal)
                .with_context(|| format!("cannot signal {}", self.name))?;
        }
        Ok(())
    }

    /// Its standard error, the first time, if it was piped.
    pub(crate) fn errors(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits for its end. May be dropped and called again.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        Ok(status.with_context(|| format!("{} does not end", self.name))??)
    }
}

impl Drop for Process {
    /// Kills it, frozen or not; nothing needs to be kept from a process whose end nobody awaited.
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        let _ = self.warden.ended(self.pid);
    }
}

/// Says a line to a process.
pub(crate) async fn say(input: &mut ChildStdin, line: &str) -> Result<()> {
    input.write_all(format!("{line}\n").as_bytes()).await?;
    Ok(input.flush().await?)
}
