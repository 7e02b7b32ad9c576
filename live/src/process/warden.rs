//! A process that outlives this one briefly, and kills the processes that this one left behind.
//!
//! Dropping a process kills it, and so does returning early or panicking; but this program may be
//! killed itself while a migrator is frozen. Its warden then reads the end of its input.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::signal::unix::{SignalKind, signal};

/// A handle to the warden, which is notified of every process that has started or ended.
#[derive(Debug, Clone)]
pub(crate) struct Warden(Arc<Mutex<Guardian>>);

/// The process of a warden. With the last handle its input ends, and so does it.
#[derive(Debug)]
struct Guardian(Child);

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl Warden {
    /// Starts it.
    pub(crate) fn start() -> Result<Self> {
        let warden = Command::new(std::env::current_exe()?)
            .arg("warden")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start the warden")?;
        Ok(Self(Arc::new(Mutex::new(Guardian(warden)))))
    }

    /// A process has started.
    pub(super) fn started(&self, pid: Pid) -> Result<()> {
        self.tell(&format!("+{}", pid.as_raw_nonzero()))
    }

    /// A process has ended, and its number may be used again by the system.
    pub(super) fn ended(&self, pid: Pid) -> Result<()> {
        self.tell(&format!("-{}", pid.as_raw_nonzero()))
    }

    fn tell(&self, line: &str) -> Result<()> {
        let mut warden = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let input = warden.0.stdin.as_mut().context("the warden has no input")?;
        writeln!(input, "{line}").context("the warden has gone")
    }
}

/// What the warden does.
pub(crate) async fn guard() -> Result<()> {
    // Ctrl-C reaches the whole group; the warden ends last, with its input
    let _interrupts = signal(SignalKind::interrupt())?;
    let _terminations = signal(SignalKind::terminate())?;
    let _hangups = signal(SignalKind::hangup())?;
    let mut charges = Vec::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match line.split_at_checked(1) {
            Some(("+", pid)) => charges.push(pid.to_owned()),
            Some(("-", pid)) => charges.retain(|charge| charge != pid),
            _ => anyhow::bail!("not a charge: {line}"),
        }
    }
    for charge in charges {
        if let Some(pid) = Pid::from_raw(charge.parse()?) {
            // it may have ended by itself
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    Ok(())
}
