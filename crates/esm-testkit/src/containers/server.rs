//! A kind of server, and requests to it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// A kind of server. Errors are for people.
pub(super) trait Server: Send + Sync + 'static {
    /// Its name, as part of file names.
    const NAME: &str;

    /// The tests that do not run without it.
    const WHAT: &str;

    /// Starts one in a container of this name, and returns its address.
    fn container(name: &str) -> impl Future<Output = Result<String, String>> + Send;

    /// The program that serves this port of 127.0.0.1 and keeps its files in this directory.
    fn program(port: u16, directory: &Path) -> Result<Command, String>;

    /// Creates what tests expect in the server. Fails while the server does not respond yet.
    fn prepare(address: &str) -> impl Future<Output = Result<(), String>> + Send;
}

/// Waits until a server is ready for tests.
///
/// # Errors
/// The last failure after a long wait, or the message of `has_ended`.
pub(super) async fn ready<S: Server>(
    address: &str,
    mut has_ended: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    let mut wrong = String::new();
    for _ in 0..1200 {
        has_ended()?;
        match S::prepare(address).await {
            Ok(()) => return Ok(()),
            Err(why) => wrong = why,
        }
        pause().await;
    }
    Err(format!("it is not ready after a minute: {wrong}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a real server's time, which no clock of a test decides"
)]
pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Sends a line and returns the first line of the response.
pub(super) async fn exchange(address: &str, say: &[u8]) -> Result<String, String> {
    let line = async {
        let mut connection = TcpStream::connect(address).await?;
        connection.write_all(say).await?;
        let mut line = String::new();
        BufReader::new(connection).read_line(&mut line).await?;
        std::io::Result::Ok(line.trim_end().to_owned())
    };
    line.await.map_err(|error| format!("{address}: {error}"))
}

/// Sends an HTTP request without a body, and returns the status.
pub(super) async fn put(address: &str, path: &str) -> Result<u16, String> {
    let request = format!(
        "PUT {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let line = exchange(address, request.as_bytes()).await?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.ok_or_else(|| format!("{address}: not HTTP: {line:?}"))
}
