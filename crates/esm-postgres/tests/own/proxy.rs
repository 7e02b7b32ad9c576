//! A connection that is cut in the middle of a chosen message, and whose round trips are counted.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::place::Place;

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
    round_trips: usize,
}

/// What a client sends, message by message.
#[derive(Debug, Default)]
struct Messages {
    unread: Vec<u8>,
    has_begun: bool,
}

impl Messages {
    /// Takes what was sent, and returns how many messages in it are answered and waited for: a query,
    /// or the end of a sequence (`Sync`).
    fn round_trips(&mut self, sent: &[u8]) -> usize {
        self.unread.extend_from_slice(sent);
        let mut round_trips = 0;
        // the first message has no type
        while let Some((kind, length)) = self.next() {
            round_trips += usize::from(matches!(kind, b'Q' | b'S'));
            self.unread.drain(..length);
            self.has_begun = true;
        }
        round_trips
    }

    /// The type of the next whole message, and its length.
    fn next(&self) -> Option<(u8, usize)> {
        let of_type = usize::from(self.has_begun);
        let length: [u8; 4] = self.unread.get(of_type..of_type + 4)?.try_into().ok()?;
        let length = of_type + u32::from_be_bytes(length) as usize;
        let kind = if self.has_begun { self.unread[0] } else { 0 };
        (self.unread.len() >= length).then_some((kind, length))
    }
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

/// A store behind a proxy, and beside it.
pub(crate) async fn behind(place: &Place) -> (Proxy, Place) {
    let (_, rest) = place.address.split_once('@').unwrap();
    let (server, path) = rest.split_once('/').unwrap();
    let proxy = Proxy::before(server).await;
    let address = format!("postgres://postgres@127.0.0.1:{}/{path}", proxy.port);
    let behind = Place::at(address, place.password);
    (proxy, behind)
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

    /// How often a client asked and waited for an answer, without its opening of connections. Clients
    /// must not ask for TLS.
    pub(crate) fn round_trips(&self) -> usize {
        self.plan.lock().unwrap().round_trips
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
    let mut messages = Messages::default();
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let message = &asked[..read?];
                let cut = next(plan, message);
                plan.lock().unwrap().round_trips += messages.round_trips(message);
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
