//! What a kind of server is, and having one.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::OnceLock;

use std::process::Command;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use super::run::Run;

/// A kind of server. Errors are for people.
pub(super) trait Server: Send + Sync + 'static {
    /// Its name in the names of files.
    const NAME: &str;

    /// What is not tested without it.
    const WHAT: &str;

    /// Starts one in a container of this name; answers its address.
    fn container(name: &str) -> impl Future<Output = Result<String, String>> + Send;

    /// The program that serves this port of 127.0.0.1, and keeps its files in this directory.
    fn program(port: u16, directory: &Path) -> Result<Command, String>;

    /// Makes what tests expect to be there. Fails while it does not answer yet.
    fn prepare(address: &str) -> impl Future<Output = Result<(), String>> + Send;
}

/// One server for all tests of this process.
#[derive(Debug)]
pub(super) struct Shared<S> {
    address: OnceCell<Option<String>>,
    kind: PhantomData<fn() -> S>,
}

impl<S: Server> Shared<S> {
    pub(super) const fn new() -> Self {
        Self {
            address: OnceCell::const_new(),
            kind: PhantomData,
        }
    }

    /// Its address, `127.0.0.1:PORT`. Where none can be had, that is noted down.
    ///
    /// # Panics
    /// In continuous integration, where none can be had.
    pub(super) async fn address(&self) -> Option<String> {
        let address = self.address.get_or_init(async || {
            // what Docker's client begins must not end with the runtime of one test
            let found = runtime().spawn(Run::current().server::<S>()).await;
            match found.unwrap_or_else(|panicked| Err(panicked.to_string())) {
                Ok(address) => Some(address),
                Err(why) if in_ci() => panic!("{} cannot be had: {why}", S::WHAT),
                Err(why) => {
                    crate::not_tested(S::WHAT, &why);
                    None
                }
            }
        });
        address.await.clone()
    }
}

/// A runtime that lasts as long as the process.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        runtime.expect("a runtime can be started")
    })
}

/// Whether this is continuous integration, where every server must be had.
pub(super) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}

/// Says something and answers the first line of what is said then.
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

/// An HTTP request with nothing in it; answers the status.
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
