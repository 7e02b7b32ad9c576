//! A connection that is cut in the middle of a chosen message.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// When a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never gets the message.
    Before,
    /// The server has answered it, and the answer is lost.
    After,
}

#[derive(Debug, Default)]
struct Plan {
    cuts: Vec<Cut>,
    made: usize,
    is_closed: bool,
}

/// Ends when dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    plan: Arc<Mutex<Plan>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// In front of a server at this address: `host:port`.
    pub(crate) async fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan: Arc<Mutex<Plan>> = Arc::default();
        let (shared, server) = (Arc::clone(&plan), server.to_owned());
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (plan, server) = (Arc::clone(&shared), server.clone());
                if plan.lock().unwrap().is_closed {
                    continue;
                }
                tokio::spawn(async move {
                    // a broken connection is what is tested, not a failure of the test
                    let _ = serve(client, &server, &plan).await;
                });
            }
        });
        Self { port, plan, task }
    }

    /// Cuts the next connections that insert an object.
    pub(crate) fn cut(&self, cuts: &[Cut]) {
        self.plan.lock().unwrap().cuts = cuts.to_vec();
    }

    /// How often a connection was cut.
    pub(crate) fn made(&self) -> usize {
        self.plan.lock().unwrap().made
    }

    /// Cuts the next connection that inserts an object, then all others, and lets nobody in again.
    pub(crate) fn close_after(&self, cut: Cut) {
        self.cut(&[cut]);
        self.plan.lock().unwrap().is_closed = true;
    }

    /// Lets everybody in again.
    pub(crate) fn open(&self) {
        self.plan.lock().unwrap().is_closed = false;
    }
}

/// What becomes of a message.
fn next(plan: &Mutex<Plan>, message: &[u8]) -> Option<Cut> {
    const INSERT: &[u8] = b".object (key, size, body)";
    let inserts = message.windows(INSERT.len()).any(|part| part == INSERT);
    let mut plan = plan.lock().unwrap();
    if plan.cuts.is_empty() {
        return plan.is_closed.then_some(Cut::Before);
    }
    if !inserts {
        return None;
    }
    plan.made += 1;
    Some(plan.cuts.remove(0))
}

async fn serve(mut client: TcpStream, server: &str, plan: &Mutex<Plan>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let message = &asked[..read?];
                let cut = next(plan, message);
                if message.is_empty() || cut == Some(Cut::Before) {
                    return Ok(());
                }
                server.write_all(message).await?;
                if cut.is_some() {
                    // the server answers when the statement is committed
                    server.readable().await?;
                    return Ok(());
                }
            }
            read = server.read(&mut answered) => {
                let message = &answered[..read?];
                if message.is_empty() {
                    return Ok(());
                }
                client.write_all(message).await?;
            }
        }
    }
}
