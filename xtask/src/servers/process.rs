//! One running server.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::command;

/// A server that answers; ends when dropped.
///
/// The launchers end when their standard input does, so a server ends with this process also where
/// nothing can be dropped any more.
#[derive(Debug)]
pub(crate) struct Server {
    /// The variable that tells tests of it.
    pub(crate) variable: &'static str,
    /// Where it answers, as `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    child: Child,
}

impl Server {
    /// Starts a launcher and waits until it prints `ready URL`.
    pub(crate) fn start(variable: &'static str, launcher: &mut Command) -> Result<Self> {
        let mut child = launcher
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start: {}", command::shown(launcher)))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let Some(url) = line.trim().strip_prefix("ready ") else {
            child.kill().ok();
            bail!(
                "ended with {} and is not ready: {}",
                child.wait()?,
                command::shown(launcher)
            );
        };
        Ok(Self {
            variable,
            url: url.to_owned(),
            child,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Neither can fail in a way that could be mended here: at worst it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
