//! Ctrl-C: the first stops at a safe point, the second at once.

use esm_core::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::output::Output;

/// Whether the user wants to stop.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    token: CancellationToken,
}

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from now on.
    pub(crate) fn listen(output: &Output) -> Self {
        let token = CancellationToken::new();
        tokio::spawn(wait(token.clone(), output.clone()));
        Self { token }
    }

    /// The token that commands hand on.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Whether to stop.
    pub(crate) fn requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Stops a loop that has nothing to tidy up.
    ///
    /// # Errors
    /// `Cancelled` when the user wants to stop.
    pub(crate) fn check(&self) -> Result<()> {
        match self.requested() {
            true => Err(Error::new(ErrorKind::Cancelled, "stopped on request")),
            false => Ok(()),
        }
    }
}

async fn wait(token: CancellationToken, output: Output) {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::warn!(%error, "signals cannot be received; Ctrl-C ends the process at once");
            return;
        }
    };
    signals.next().await;
    token.cancel();
    output.note("stopping at a safe point; press Ctrl-C again to stop at once");
    signals.next().await;
    output.note("stopped at once; what was acknowledged is durable, run the same command again");
    std::process::exit(i32::from(Exit::Interrupted.code()));
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
