//! Which certificates each `sslmode` accepts.

use std::sync::Arc;

use esm_core::{Error, ErrorKind};
use esm_postgres::{Database, Query, Settings};
use esm_testkit::containers::{OwnPostgres, PostgresVersion};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::in_place::texts;
use crate::server::Place;

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

/// What is tried: the host, the parameters, and whether the certificate is accepted.
fn modes() -> Vec<(&'static str, String, bool)> {
    let (root, other) = (file("root.pem"), file("other-root.pem"));
    vec![
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
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_verifies_what_it_says() {
    let port = server().await;
    for (host, parameters, encrypts) in modes() {
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

/// A real server that encrypts, on each version whose programs are here.
async fn real_servers() -> Vec<OwnPostgres> {
    let mut servers = Vec::new();
    for version in [PostgresVersion::V15, PostgresVersion::V18] {
        let (certificate, key) = (file("server.pem"), file("server.key"));
        servers.extend(
            OwnPostgres::start_encrypted(version, certificate.as_ref(), key.as_ref()).await,
        );
    }
    servers
}

/// Whether a connection to a real server is encrypted.
async fn is_encrypted(place: &Place, address: &str) -> Result<bool, Error> {
    let database = Database::connect(place.settings_at(address)?).await?;
    let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let rows = database.read(&Query::new(query)).await?;
    Ok(rows[0].get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_is_verified_as_each_mode_says() {
    for server in real_servers().await {
        let place = Place::of(&server.server()).await;
        for (host, parameters, accepted) in modes() {
            let address = place.address.replace("127.0.0.1", host);
            let found = is_encrypted(&place, &format!("{address}?{parameters}")).await;
            match (found, accepted) {
                (Ok(encrypted), true) => assert!(encrypted, "{host} {parameters}"),
                (Err(error), false) => {
                    assert_eq!(*error.kind(), ErrorKind::Unavailable, "{error:?}");
                    let hint = error.hint().unwrap_or_default();
                    assert!(hint.contains("sslrootcert"), "{parameters}: {error:?}");
                }
                (found, _) => panic!("{host} {parameters}: {found:?}"),
            }
        }
        let plain = format!("{}?sslmode=disable", place.address);
        assert!(!is_encrypted(&place, &plain).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_demands_encryption_refuses_a_connection_without_it_by_name() {
    for server in real_servers().await {
        let place = Place::of(&server.server()).await;
        let file = texts(&place, "SHOW hba_file").await.remove(0);
        let demand = format!(
            "COPY (SELECT 'hostssl all all all scram-sha-256') TO '{file}'; SELECT pg_reload_conf()"
        );
        place.run(&demand).await;
        let plain = format!("{}?sslmode=disable", place.address);
        // the server reads its file soon, not at once
        let error = loop {
            if let Err(error) = is_encrypted(&place, &plain).await {
                break error;
            }
        };
        assert_eq!(*error.kind(), ErrorKind::PermissionDenied, "{error:?}");
        assert!(error.hint().unwrap().contains("sslmode"), "{error:?}");
        assert!(is_encrypted(&place, &place.address).await.unwrap());
    }
}
