//! Serves a console on a listener, bounded: in connections, and in the patience with slow clients.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use esm_core::clock::Environment;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::console::BODY;
use crate::places::{Place, Places};

/// Connections at the same time. A new one gets the place of the one that has rested for longest.
const CONNECTIONS: usize = 512;
/// How long a client may take for the head of a request, also of the next one on a connection.
const HEAD: Duration = Duration::from_secs(10);
/// How long a client may take to send the body of a request, and to receive something.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause after a connection could not be accepted, for instance because files are scarce.
const PAUSE: Duration = Duration::from_millis(100);
/// Size of a request's head, at most.
const HEAD_BYTES: usize = 32 << 10;

/// Serves requests until the token is cancelled; then all connections end.
pub async fn serve(listener: TcpListener, service: Router, stop: CancellationToken) {
    serve_at_once(listener, service, stop, CONNECTIONS).await;
}

/// Serves this many connections at once.
async fn serve_at_once(
    listener: TcpListener,
    service: Router,
    stop: CancellationToken,
    most: usize,
) {
    let environment = Environment::system();
    let places = Places::new(most);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                environment.clock.sleep(PAUSE).await;
                continue;
            }
        };
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = places.take() => Arc::new(place),
        };
        let server = Server {
            service: service.clone(),
            environment: environment.clone(),
            place: Arc::clone(&place),
            client,
        };
        connections.spawn(async move {
            tokio::select! {
                () = place.wanted() => {}
                ended = server.serve(stream) => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection failed");
                }
            }
        });
    }
}

/// The server's side of a connection.
#[derive(Clone)]
struct Server {
    service: Router,
    environment: Environment,
    place: Arc<Place>,
    client: SocketAddr,
}

impl Server {
    async fn serve(self, stream: TcpStream) -> hyper::Result<()> {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(PATIENCE));
        self.place.rest();
        let answer = service_fn(move |request| {
            let server = self.clone();
            async move { Ok::<_, std::convert::Infallible>(server.answer(request).await) }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(Box::pin(stream)), answer)
            .await
    }

    /// Receives the whole request, then responds: only that keeps the place.
    async fn answer(self, request: hyper::Request<Incoming>) -> Response {
        let (mut head, body) = request.into_parts();
        head.extensions.insert(ConnectInfo(self.client));
        let body = axum::body::to_bytes(Body::new(body), BODY);
        let body = match self.environment.within(PATIENCE, body).await {
            Some(Ok(body)) => body,
            Some(Err(_)) => return refused(StatusCode::PAYLOAD_TOO_LARGE),
            None => return refused(StatusCode::REQUEST_TIMEOUT),
        };
        let Some(working) = Working::begin(self.place) else {
            return refused(StatusCode::SERVICE_UNAVAILABLE);
        };
        let request = Request::from_parts(head, Body::from(body));
        let Ok(response) = self.service.oneshot(request).await;
        response.map(|body| {
            Body::new(Answered {
                body,
                _working: working,
            })
        })
    }
}

fn refused(status: StatusCode) -> Response {
    (status, format!("{status}\n")).into_response()
}

/// The time in which a request is being answered: until the whole answer is sent.
struct Working(Arc<Place>);

impl Working {
    /// None where the place is another's already: nothing is begun that would be cut off.
    fn begin(place: Arc<Place>) -> Option<Self> {
        place.work().then(|| Self(place))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.rest();
    }
}

/// The body of an answer.
struct Answered {
    body: Body,
    _working: Working,
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const LAST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const HALF: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nh";

    async fn connect(address: SocketAddr, text: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text).await.unwrap();
        stream
    }

    /// The beginning of what comes; nothing where the connection has ended.
    async fn read(stream: &mut TcpStream) -> String {
        let mut text = [0; 15];
        let read = stream.read_exact(&mut text).await;
        read.map_or(String::new(), |_| {
            String::from_utf8_lossy(&text).into_owned()
        })
    }

    #[tokio::test]
    async fn clients_that_say_nothing_give_way_one_by_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Router::new().route("/", get(|| async { "ok" }));
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve_at_once(listener, service, stop.clone(), 4));
        // each is answered once, so that the server has accepted them in this order
        let mut idle = Vec::new();
        for _ in 0..4 {
            let mut stream = connect(address, GET).await;
            assert_eq!(read(&mut stream).await, "HTTP/1.1 200 OK");
            idle.push(stream);
        }
        // another that says half of something, and one that speaks
        let mut half = connect(address, HALF).await;
        let mut fresh = connect(address, GET).await;
        assert_eq!(read(&mut fresh).await, "HTTP/1.1 200 OK");
        let mut answered = Vec::new();
        for mut stream in idle {
            let mut rest = Vec::new();
            // a reset is an end too
            let _ = stream.write_all(LAST).await;
            let _ = stream.read_to_end(&mut rest).await;
            answered.push(String::from_utf8_lossy(&rest).matches("200 OK").count());
        }
        assert_eq!(
            answered,
            [0, 0, 1, 1],
            "those that rested for longest gave way"
        );
        half.write_all(b"alfabcde").await.unwrap();
        assert_eq!(read(&mut half).await, "HTTP/1.1 405 Me");
        stop.cancel();
        served.await.unwrap();
    }
}
