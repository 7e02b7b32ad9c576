//! A server in front of another that spoils chosen responses: those that Azurite never gives, and
//! lost responses to requests that had their effect.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Spoil {
    /// It never reaches the server; this is answered: status, error code, further headers.
    Instead(u16, &'static str, &'static str),
    /// It has its effect, and this status is answered.
    After(u16),
    /// It has its effect, and the connection breaks.
    Lost,
    /// It never reaches the server, and is never answered.
    Silence,
}

struct Rule {
    request: &'static str,
    with: &'static str,
    spoil: Spoil,
    times: usize,
}

/// Ends when dropped.
pub(crate) struct Proxy {
    pub(crate) url: String,
    rules: Arc<Mutex<Vec<Rule>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// In front of a server at this URL. `silence` is notified of each request that
    /// is met with silence.
    pub(crate) async fn before(server: &str, silence: Arc<Notify>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstream = server.strip_prefix("http://").unwrap().to_owned();
        let rules: Arc<Mutex<Vec<Rule>>> = Arc::default();
        let shared = Arc::clone(&rules);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (rules, silence) = (Arc::clone(&shared), Arc::clone(&silence));
                let upstream = upstream.clone();
                tokio::spawn(async move {
                    // a broken connection is what is tested, not a failure of the test
                    let _ = serve(client, &upstream, &rules, &silence).await;
                });
            }
        });
        Self { url, rules, task }
    }

    /// Spoils the next requests of this method whose address contains this text.
    pub(crate) fn spoil(
        &self,
        request: &'static str,
        with: &'static str,
        times: usize,
        spoil: Spoil,
    ) {
        self.rules.lock().unwrap().push(Rule {
            request,
            with,
            spoil,
            times,
        });
    }

    /// Spoils nothing any more.
    pub(crate) fn relent(&self) {
        self.rules.lock().unwrap().clear();
    }

    /// Whether every request that was to be spoilt was.
    pub(crate) fn is_done(&self) -> bool {
        self.rules
            .lock()
            .unwrap()
            .iter()
            .all(|rule| rule.times == 0)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut client: TcpStream,
    upstream: &str,
    rules: &Mutex<Vec<Rule>>,
    silence: &Notify,
) -> std::io::Result<()> {
    let Some((head, body)) = read_request(&mut client).await? else {
        return Ok(());
    };
    let spoil = {
        let mut rules = rules.lock().unwrap();
        let line = head.lines().next().unwrap_or_default().to_owned();
        let rule = rules.iter_mut().find(|rule| {
            rule.times > 0 && line.starts_with(rule.request) && line.contains(rule.with)
        });
        rule.map(|rule| {
            rule.times -= 1;
            rule.spoil.clone()
        })
    };
    let answer = match spoil {
        None => forward(upstream, &head, &body).await?,
        Some(Spoil::Instead(status, code, headers)) => refusal(status, code, headers),
        Some(Spoil::After(status)) => {
            forward(upstream, &head, &body).await?;
            refusal(status, "InternalError", "")
        }
        Some(Spoil::Lost) => {
            forward(upstream, &head, &body).await?;
            return Ok(());
        }
        Some(Spoil::Silence) => {
            silence.notify_waiters();
            return std::future::pending().await;
        }
    };
    client.write_all(&answer).await?;
    client.shutdown().await
}

/// A request: its head, which ends in an empty line, and its body.
async fn read_request(client: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap());
    let mut body = bytes.split_off(end);
    while body.len() < length {
        client.read_buf(&mut body).await?;
    }
    Ok(Some((head, body)))
}

/// Sends a request on, on a connection of its own, and reads the whole answer.
async fn forward(upstream: &str, head: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(upstream).await?;
    for line in head.trim_end().lines() {
        let name = line.split(':').next().unwrap_or_default();
        if !name.eq_ignore_ascii_case("connection") {
            server.write_all(format!("{line}\r\n").as_bytes()).await?;
        }
    }
    server.write_all(b"connection: close\r\n\r\n").await?;
    server.write_all(body).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    Ok(answer)
}

fn refusal(status: u16, code: &str, headers: &str) -> Vec<u8> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    format!(
        "HTTP/1.1 {status} Spoilt\r\nx-ms-error-code: {code}\r\n{headers}\
         content-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
