//! Ctrl-C: the first one stops at a safe point, the second one immediately.

use esm_core::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::output::Output;

/// Whether the user requested to stop.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    token: CancellationToken,
}

impl Interrupt {
    /// Starts to listen for SIGINT and SIGTERM.
    pub(crate) fn listen(output: &Output) -> Self {
        let token = CancellationToken::new();
        tokio::spawn(wait(token.clone(), output.clone()));
        Self { token }
    }

    /// An interrupt that never comes.
    #[cfg(test)]
    pub(crate) fn never() -> Self {
        Self {
            token: CancellationToken::new(),
        }
    }

    /// The token that is cancelled on a request to stop.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Whether a stop was requested.
    pub(crate) fn requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Fails if a stop was requested, to leave a loop that needs no clean-up.
    ///
    /// # Errors
    /// `Cancelled`.
    pub(crate) fn check(&self) -> Result<()> {
        if self.requested() {
            return Err(Error::new(ErrorKind::Cancelled, "stopped on request"));
        }
        Ok(())
    }
}

async fn wait(token: CancellationToken, output: Output) {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::warn!(%error, "cannot listen for signals; Ctrl-C ends the process immediately");
            return;
        }
    };
    signals.next().await;
    token.cancel();
    output.note("stopping at a safe point; press Ctrl-C again to stop immediately");
    signals.next().await;
    output.note("stopped immediately; acknowledged events are durable; run the same command again");
    std::process::exit(i32::from(Exit::Interrupted.code()));
}

/// SIGXFSZ, whose default is to end the process.
#[cfg(unix)]
const FILE_SIZE_EXCEEDED: i32 = 25;

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // a file over the limit of this process (ulimit -f) is then an error of the write
        drop(signal(SignalKind::from_raw(FILE_SIZE_EXCEEDED))?);
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
