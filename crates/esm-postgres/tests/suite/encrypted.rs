//! Which certificates each `sslmode` accepts.

use std::sync::Arc;

use esm_core::{Error, ErrorKind};
use esm_postgres::{Database, Settings};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The certificates: of a server called localhost, of the root that signed it, and of another root.
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/tls");

/// What the server says to a client that it has an encrypted connection with.
const GREETING: &[u8] = b"SFATAL\0C28000\0Mthis connection is encrypted\0\0";

fn file(name: &str) -> String {
    format!("{DIRECTORY}/{name}")
}

/// Serves one connection: accepts TLS, and refuses the login with [`GREETING`].
async fn serve(listener: &TcpListener, acceptor: &TlsAcceptor) -> std::io::Result<()> {
    let (mut connection, _) = listener.accept().await?;
    // the request for TLS has 8 bytes
    connection.read_exact(&mut [0; 8]).await?;
    connection.write_all(b"S").await?;
    let mut encrypted = acceptor.accept(connection).await?;
    encrypted.read_u8().await?;
    encrypted.write_all(b"E").await?;
    encrypted.write_u32(4 + GREETING.len() as u32).await?;
    encrypted.write_all(GREETING).await?;
    encrypted.shutdown().await
}

/// A server with TLS on a port of this machine, until the test ends.
async fn server() -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificates = vec![CertificateDer::from_pem_file(file("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            // a client that refuses the certificate ends the connection
            let _ = serve(&listener, &acceptor).await;
        }
    });
    port
}

async fn refusal(host: &str, port: u16, parameters: &str) -> Error {
    let address = format!("postgres://eva@{host}:{port}/shop?{parameters}");
    let settings = Settings::new(&address, |_| None).unwrap();
    Database::connect(settings).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_verifies_what_it_says() {
    let port = server().await;
    let (root, other) = (file("root.pem"), file("other-root.pem"));
    for (host, parameters, encrypts) in [
        ("localhost", "sslmode=prefer".to_owned(), true),
        ("localhost", "sslmode=require".to_owned(), true),
        (
            "localhost",
            format!("sslmode=require&sslrootcert={root}"),
            true,
        ),
        (
            "localhost",
            format!("sslmode=require&sslrootcert={other}"),
            false,
        ),
        (
            "localhost",
            format!("sslmode=verify-ca&sslrootcert={root}"),
            true,
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-ca&sslrootcert={root}"),
            true,
        ),
        (
            "localhost",
            format!("sslmode=verify-ca&sslrootcert={other}"),
            false,
        ),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={root}"),
            true,
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-full&sslrootcert={root}"),
            false,
        ),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={other}"),
            false,
        ),
        (
            "localhost",
            "sslmode=verify-full&sslrootcert=system".to_owned(),
            false,
        ),
    ] {
        let refusal = refusal(host, port, &parameters).await;
        let is_encrypted = refusal.to_string().contains("this connection is encrypted");
        assert_eq!(is_encrypted, encrypts, "{host} {parameters}: {refusal:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_refused_or_cannot_be_read_is_named() {
    let port = server().await;
    let other = format!("sslmode=verify-full&sslrootcert={}", file("other-root.pem"));
    let refused = refusal("localhost", port, &other).await;
    assert_eq!(*refused.kind(), ErrorKind::Unavailable);
    assert!(
        refused.hint().unwrap().contains("sslrootcert"),
        "{refused:?}"
    );
    for parameters in [
        format!("sslmode=verify-full&sslrootcert={}", file("none.pem")),
        format!("sslmode=verify-full&sslrootcert={}", file("server.key")),
        format!("sslmode=require&sslcert={}", file("server.pem")),
    ] {
        let error = refusal("localhost", port, &parameters).await;
        assert_eq!(*error.kind(), ErrorKind::Invalid, "{parameters}: {error:?}");
    }
}
