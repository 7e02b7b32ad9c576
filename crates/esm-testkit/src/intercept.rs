//! Responses that no local server sends: 403, 429, 503, 500 after the effect.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a client gets instead of the server's response.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
/// use esm_testkit::intercept::{Answer, Interceptor};
/// use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
///
/// // no server is needed where it never learns of the request
/// let interceptor = Interceptor::before("http://127.0.0.1:1").await?;
/// interceptor.next(1, "GET", "/c/", Answer::Instead(503));
/// let address = interceptor.url().replace("http://", "");
/// let mut client = tokio::net::TcpStream::connect(address).await?;
/// client.write_all(b"GET /bucket/c/7 HTTP/1.1\r\n\r\n").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.starts_with("HTTP/1.1 503 ") && interceptor.is_done());
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// This status. The request does not reach the server.
    Instead(u16),
    /// This status. The server has handled the request.
    Afterwards(u16),
    /// A broken connection. The server has handled the request.
    Lost,
}

/// A proxy before a server that speaks HTTP. It forwards requests, and answers some of them by
/// itself as a test has configured. It ends when it is dropped.
///
/// It is made for the servers of `containers`, which are never overloaded and forbid nothing: with
/// it a test sees how a provider handles a status that they never send.
///
/// ```no_run
/// # async fn test(s3: &str) -> std::io::Result<()> {
/// use esm_testkit::intercept::{Answer, Interceptor};
///
/// let interceptor = Interceptor::before(s3).await?;
/// interceptor.next(1, "PUT", "/c/", Answer::Afterwards(500));
/// // a client of interceptor.url() has its next write of a cell done, and learns of an error
/// # Ok(())
/// # }
/// ```
pub struct Interceptor {
    address: String,
    state: State,
    /// Aborted when dropped.
    _serving: JoinSet<()>,
}

type State = Arc<Mutex<Script>>;

#[derive(Debug, Default)]
struct Script {
    next: Vec<(String, String, Answer)>,
    seen: Vec<String>,
}

impl Interceptor {
    /// Starts a proxy before the server at this address, such as `http://127.0.0.1:9000`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn before(url: &str) -> io::Result<Self> {
        let server = url.trim_start_matches("http://").trim_end_matches('/');
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let state = State::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, server, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            _serving: serving,
        })
    }

    /// Returns its address: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends this response to the next `times` requests of this method, to a path that contains this.
    pub fn next(&self, times: usize, method: &str, path: &str, answer: Answer) {
        let one = (method.to_owned(), path.to_owned(), answer);
        lock(&self.state).next.extend(vec![one; times]);
    }

    /// Returns whether all configured responses were sent.
    pub fn is_done(&self) -> bool {
        lock(&self.state).next.is_empty()
    }

    /// Returns the requests so far, as `PUT /bucket/key`.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.state).seen.clone()
    }
}

impl fmt::Debug for Interceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interceptor")
            .field("address", &self.address)
            .field("script", &lock(&self.state).next)
            .finish_non_exhaustive()
    }
}

fn lock(state: &State) -> MutexGuard<'_, Script> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, server: String, state: State) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (server, state) = (server.clone(), Arc::clone(&state));
        connections.spawn(async move {
            // a client or a server that disconnects is what the other side is to see
            let _ = exchange(client, &server, &state).await;
        });
    }
}

/// Handles one request. The client then opens a new connection.
async fn exchange(mut client: TcpStream, server: &str, state: &State) -> io::Result<()> {
    let Some(request) = Request::read(&mut client).await? else {
        return Ok(());
    };
    let answer = lock(state).answer(&request);
    if let Some(Answer::Instead(status)) = answer {
        return say(&mut client, status).await;
    }
    let mut upstream = TcpStream::connect(server).await?;
    upstream.write_all(&request.handed_on()).await?;
    let mut response = Vec::new();
    upstream.read_to_end(&mut response).await?;
    match answer {
        Some(Answer::Afterwards(status)) => say(&mut client, status).await,
        Some(Answer::Lost) => Ok(()),
        _ => client.write_all(&response).await,
    }
}

async fn say(client: &mut TcpStream, status: u16) -> io::Result<()> {
    let answer =
        format!("HTTP/1.1 {status} Intercepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client.write_all(answer.as_bytes()).await
}

impl Script {
    fn answer(&mut self, request: &Request) -> Option<Answer> {
        self.seen
            .push(format!("{} {}", request.method, request.path));
        let at = self.next.iter().position(|(method, path, _)| {
            *method == request.method && request.path.contains(path.as_str())
        })?;
        Some(self.next.remove(at).2)
    }
}

struct Request {
    method: String,
    path: String,
    /// The lines after the first.
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Request {
    /// Returns nothing where the client has disconnected without a request.
    async fn read(client: &mut TcpStream) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if client.read_buf(&mut bytes).await? == 0 {
                return Ok(None);
            }
        };
        let mut body = bytes.split_off(head);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let mut words = lines.next().unwrap_or_default().split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (method, path) = (word(), word());
        let headers: Vec<_> = lines.map(str::to_owned).collect();
        let length = header(&headers, "content-length");
        let length = length.and_then(|text| text.parse().ok()).unwrap_or(0_usize);
        if header(&headers, "transfer-encoding").is_some() {
            let message = "a body without a length is not handed on";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let rest = length.saturating_sub(body.len());
        let mut more = vec![0; rest];
        client.read_exact(&mut more).await?;
        body.append(&mut more);
        Ok(Some(Self {
            method,
            path,
            headers,
            body,
        }))
    }

    /// The request as the server gets it: the connection ends with the response.
    fn handed_on(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for line in &self.headers {
            if !line.to_ascii_lowercase().starts_with("connection:") {
                head += &format!("{line}\r\n");
            }
        }
        let mut bytes = (head + "Connection: close\r\n\r\n").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn header<'a>(headers: &'a [String], name: &str) -> Option<&'a str> {
    headers.iter().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
