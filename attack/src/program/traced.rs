//! A command under `strace`: killed or stopped at its n-th call of a kind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::until;

/// Calls that change a local directory, as they occur when a file is created, named and removed.
pub(crate) const CALLS: [&str; 6] = ["linkat", "fsync", "unlink", "mkdir", "write", "openat"];

/// Programs of the machine, where they are installed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tools {
    pub(crate) strace: Option<PathBuf>,
    pub(crate) faketime: Option<PathBuf>,
}

impl Tools {
    /// Searches the usual places.
    pub(crate) fn find() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let find = |name: &str| {
            let folders = std::env::split_paths(&path);
            folders
                .map(|folder| folder.join(name))
                .find(|file| file.is_file())
        };
        Self {
            strace: find("strace"),
            faketime: find("faketime"),
        }
    }
}

/// Which call of a thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) call: &'static str,
    pub(crate) number: u64,
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.call, self.number)
    }
}

/// The command, killed when it makes this call.
pub(crate) fn killed(strace: &Path, command: &Command, at: At) -> Command {
    traced(strace, command, at, "signal=KILL", Path::new("/dev/null"))
}

/// The command with another time of day, e.g. `+3d`.
pub(crate) fn at_another_time(faketime: &Path, command: &Command, shift: &str) -> Command {
    wrapped(command, faketime, &["-f", shift])
}

fn traced(strace: &Path, command: &Command, at: At, fault: &str, log: &Path) -> Command {
    let At { call, number } = at;
    let trace = format!("trace={call}");
    let inject = format!("inject={call}:{fault}:when={number}");
    let log = log.to_string_lossy();
    wrapped(
        command,
        strace,
        &[
            "-I1", "-D", "-f", "-qq", "-o", &log, "-e", &trace, "-e", &inject,
        ],
    )
}

/// The same command with another program in front of it.
fn wrapped(command: &Command, program: &Path, arguments: &[&str]) -> Command {
    let mut wrapped = Command::new(program);
    wrapped
        .args(arguments)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped.stdin(Stdio::null());
    wrapped
}

/// A process of which one thread is stopped before a call, while the others continue.
#[derive(Debug)]
pub(crate) struct Frozen {
    child: Child,
}

impl Frozen {
    /// Starts the command and waits until it makes this call, or has ended without it.
    pub(crate) fn start(
        strace: &Path,
        command: &Command,
        at: At,
        scratch: &Path,
        name: &str,
    ) -> Result<Self> {
        let log = scratch.join(format!("{name}.trace"));
        // longer than anything here lasts; the tracer is ended before
        let fault = "delay_enter=3600000000";
        let out = std::fs::File::create(scratch.join(format!("{name}.out")))?;
        let err = std::fs::File::create(scratch.join(format!("{name}.err")))?;
        let mut child = traced(strace, command, at, fault, &log)
            .stdout(out)
            .stderr(err)
            .spawn()?;
        let mut polls = 0;
        until(Duration::from_secs(10), || {
            let seen = std::fs::read_to_string(&log).unwrap_or_default();
            polls = if is_delayed(&seen) { polls + 1 } else { 0 };
            // a call that only takes long has its result soon
            Ok(polls > 2 || child.try_wait()?.is_some())
        })?;
        Ok(Self { child })
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Stops all other threads as well.
    pub(crate) fn stop_all(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id() as i32).context("a process without a number")?;
        kill_process(pid, signal).context("cannot signal a process")
    }

    /// Ends the tracer, so that the call is made, and lets all threads continue.
    pub(crate) fn wake(&mut self) -> Result<()> {
        if let Some(tracer) = self.tracer() {
            kill_process(tracer, Signal::TERM).context("cannot end strace")?;
        }
        until(Duration::from_secs(10), || Ok(self.tracer().is_none()))?;
        if self.is_alive()? {
            self.signal(Signal::CONT)?;
        }
        Ok(())
    }

    fn tracer(&self) -> Option<Pid> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let tracer = status
            .lines()
            .find_map(|line| line.strip_prefix("TracerPid:"))?;
        Pid::from_raw(tracer.trim().parse().ok()?)
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

/// Whether the last call of a thread has no result yet.
fn is_delayed(trace: &str) -> bool {
    let mut last = BTreeMap::new();
    for line in trace.lines() {
        if let Some((thread, call)) = line.trim_start().split_once(' ') {
            last.insert(thread, call);
        }
    }
    let is_call = |call: &&&str| !call.trim_start().starts_with(['+', '-']);
    last.values()
        .filter(is_call)
        .any(|call| !call.contains(" = "))
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = self.wake();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_a_result_is_a_delayed_one() {
        let done = "7 linkat(\"a\", \"b\", 0) = 0\n8 +++ exited with 0 +++\n";
        assert!(!is_delayed(done));
        assert!(is_delayed(&format!("{done}9 linkat(\"a\", \"b\", 0")));
        let other = "9 linkat(\"a\", \"b\", 0 <unfinished ...>\n7 fsync(3) = 0\n";
        assert!(is_delayed(other));
        assert!(!is_delayed(&format!(
            "{other}9 <... linkat resumed>) = 0\n"
        )));
    }
}
