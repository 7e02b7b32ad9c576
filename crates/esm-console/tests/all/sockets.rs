//! The server on a real socket: slow clients, many connections, heads without end.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use esm_console::{Console, ConsoleOptions, serve};
use esm_core::Result;
use esm_core::clock::Environment;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::world::Shop;

/// A console on a free port.
async fn server() -> Result<(SocketAddr, CancellationToken)> {
    let shop = Shop::new().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let source = shop.source().with_environment(Environment::system());
    let console = Console::new(vec![source], ConsoleOptions::new().listening(address))?;
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, console.into_service(), stop.clone()));
    Ok((address, stop))
}

/// What a plain client gets.
fn health(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_say_nothing_do_not_keep_others_out() -> Result<()> {
    let (address, stop) = server().await?;
    let all = tokio::task::spawn_blocking(move || {
        let silent = (0..200).map(|_| TcpStream::connect(address).unwrap());
        let slow = (0..200).map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost").unwrap();
            stream
        });
        let open: Vec<_> = silent.chain(slow).collect();
        (health(address), open.len())
    });
    let (reply, open) = all.await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    assert_eq!(open, 400);
    stop.cancel();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_end_is_refused() -> Result<()> {
    let (address, stop) = server().await?;
    let reply = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let line = format!("X-Long: {}\r\n", "x".repeat(60_000));
        let head = format!("GET / HTTP/1.1\r\nHost: {address}\r\n{line}");
        // the server may close while this is written
        let _ = stream.write_all(head.as_bytes());
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        String::from_utf8_lossy(&reply).into_owned()
    });
    let reply = reply.await.unwrap();
    assert!(
        reply.is_empty() || reply.starts_with("HTTP/1.1 431"),
        "{reply}"
    );
    assert!(
        tokio::task::spawn_blocking(move || health(address))
            .await
            .unwrap()
            .contains("ok")
    );
    stop.cancel();
    Ok(())
}
