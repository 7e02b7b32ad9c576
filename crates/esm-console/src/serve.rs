//! Serves a console on a listener, bounded: in connections, and in the patience with slow clients.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use esm_core::clock::Environment;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// Connections at the same time. Others wait until one ends.
const CONNECTIONS: usize = 512;
/// How long a client may take for the head of a request, also of the next one on a connection.
const HEAD: Duration = Duration::from_secs(10);
/// How long a client may take to receive something.
const RECEIVE: Duration = Duration::from_secs(30);
/// Pause after a connection could not be accepted, for instance because files are scarce.
const PAUSE: Duration = Duration::from_millis(100);
/// Size of a request's head, at most.
const HEAD_BYTES: usize = 32 << 10;

/// Serves requests until the token is cancelled; then all connections end.
pub async fn serve(listener: TcpListener, service: Router, stop: CancellationToken) {
    let clock = Environment::system().clock;
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accept(&listener, &permits) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                clock.sleep(PAUSE).await;
                continue;
            }
        };
        let service = service.clone();
        connections.spawn(async move {
            let _permit = permit;
            if let Err(error) = connection(stream, service).await {
                tracing::debug!(%error, "a connection failed");
            }
        });
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await;
    let permit = permit.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn connection(stream: TcpStream, service: Router) -> hyper::Result<()> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(RECEIVE));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            TowerToHyperService::new(service),
        )
        .await
}
