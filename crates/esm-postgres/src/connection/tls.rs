//! Encrypted connections, by rustls.

use std::path::Path;
use std::sync::Arc;

use esm_core::{Error, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::settings::{SslMode, TlsSettings};

/// The parameter that means the certificates of the operating system.
const SYSTEM: &str = "system";

/// Returns what connects with these settings.
///
/// # Errors
/// `Invalid` for a file of certificates that cannot be read.
pub(super) fn connector(settings: &TlsSettings) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let invalid = |e: rustls::Error| Error::invalid("TLS cannot be set up").with_source(e);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(invalid)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(settings, provider)?));
    let config = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(invalid)?,
        (None, None) => builder.with_no_client_auth(),
        _ => return Err(Error::invalid("sslcert and sslkey must be given together")),
    };
    Ok(MakeRustlsConnect::new(config))
}

/// Verifies as much of a server's certificate as the mode demands.
#[derive(Debug)]
struct Verifier {
    /// Absent where nothing is verified.
    chain: Option<Arc<WebPkiServerVerifier>>,
    verifies_name: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(settings: &TlsSettings, provider: Arc<CryptoProvider>) -> Result<Self> {
        let verifies = match settings.mode {
            SslMode::Disable | SslMode::Prefer => false,
            // as PostgreSQL's own clients do
            SslMode::Require => settings.roots.is_some(),
            SslMode::VerifyCa | SslMode::VerifyFull => true,
        };
        let chain = if verifies {
            let roots = Arc::new(roots(settings.roots.as_deref())?);
            let builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
            let built = builder.build();
            Some(built.map_err(|e| Error::invalid("TLS cannot be set up").with_source(e))?)
        } else {
            None
        };
        Ok(Self {
            chain,
            verifies_name: settings.mode == SslMode::VerifyFull,
            provider,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // the name is compared last: the chain was found to be sound
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.verifies_name => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

fn roots(named: Option<&str>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match named.filter(|named| *named != SYSTEM) {
        Some(path) => {
            for certificate in certificates(path.as_ref())? {
                roots.add(certificate).map_err(|e| {
                    Error::invalid(format!("sslrootcert has no root certificate: {path}"))
                        .with_source(e)
                })?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err(Error::invalid("no root certificate was found")
            .with_hint("name a file of root certificates in PEM: sslrootcert=FILE"));
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|e| unreadable(path, e))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| unreadable(path, e))
}

fn unreadable(path: &Path, error: rustls::pki_types::pem::Error) -> Error {
    let message = format!("certificate or key cannot be read: {}", path.display());
    Error::invalid(message).with_source(error)
}
