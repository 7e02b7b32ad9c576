//! How a storage account is reached, and by whom.

mod account_key;
mod connection_string;
mod environment;
mod signature;

use std::fmt;
use std::sync::Arc;

use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::policies::Policy;
use esm_core::clock::Environment;
use esm_core::{Error, Result};
use url::Url;

use account_key::AccountKey;
use signature::SignaturePolicy;

/// A storage account's blob endpoint, and the credentials for it.
///
/// Neither messages nor `Debug` show credentials.
#[derive(Clone)]
pub struct Connection {
    endpoint: Url,
    credentials: Credentials,
    /// The only container that the credentials are for, where an address said so.
    container: Option<String>,
    policies: Vec<Arc<dyn Policy>>,
}

#[derive(Clone)]
enum Credentials {
    Entra(Arc<dyn TokenCredential>),
    Signature(Secret),
    Key(AccountKey),
}

/// Chooses the cryptography of TLS for the process, unless the application has chosen it before.
/// Clients and the credentials of the environment cannot be made before.
pub(crate) fn choose_cryptography() {
    // an error says that it was chosen before
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Connection {
    /// An endpoint such as `https://account.blob.core.windows.net`, with Entra ID.
    ///
    /// # Errors
    /// `Invalid` for a wrong endpoint, and for one without TLS: tokens must not be sent in the
    /// clear.
    pub fn with_credential(endpoint: &str, credential: Arc<dyn TokenCredential>) -> Result<Self> {
        let endpoint = parse_endpoint(endpoint, Clear::Refused)?;
        Ok(Self::new(endpoint, Credentials::Entra(credential)))
    }

    /// An endpoint with an account's name and key. Each request is signed with a shared access
    /// signature that is made from the key and is good for two hours.
    ///
    /// # Errors
    /// `Invalid` for a wrong endpoint, one without TLS that is not on this machine, and a key that
    /// is not base64.
    pub fn with_account_key(endpoint: &str, account: &str, key: &str) -> Result<Self> {
        let endpoint = parse_endpoint(endpoint, Clear::OnThisMachine)?;
        Self::keyed(endpoint, account, key)
    }

    /// A URL with a shared access signature, as the portal gives it: of the account or of one
    /// container.
    ///
    /// # Errors
    /// `Invalid` for what is no such URL, and for one without TLS that is not on this machine.
    pub fn from_sas_url(url: &str) -> Result<Self> {
        let parsed = parse_endpoint(url, Clear::OnThisMachine)?;
        let Some(signature) = parsed.query().filter(|query| has_signature(query)) else {
            return Err(Error::invalid("URL has no shared access signature")
                .with_hint("copy the whole URL, with what follows the question mark"));
        };
        let signature = Secret::new(signature.to_owned());
        let (endpoint, container) = split_container(parsed)?;
        Ok(Self {
            container,
            ..Self::new(endpoint, Credentials::Signature(signature))
        })
    }

    /// A connection string, as the portal gives it; also `UseDevelopmentStorage=true`, and one
    /// with a `BlobEndpoint` of its own.
    ///
    /// # Errors
    /// `Invalid`, naming the setting that is missing or wrong.
    pub fn from_connection_string(text: &str) -> Result<Self> {
        connection_string::parse(text)
    }

    /// What the environment variables of this process say: see `docs/azure.md`.
    ///
    /// # Errors
    /// `Invalid`, naming the variable that is missing or wrong.
    pub fn from_environment() -> Result<Self> {
        environment::connection(&|name| std::env::var(name).ok())
    }

    /// Lets a policy see every request, to count or to trace them.
    #[must_use]
    pub fn with_policy(mut self, policy: Arc<dyn Policy>) -> Self {
        self.policies.push(policy);
        self
    }

    /// Where it is, without credentials.
    pub fn endpoint(&self) -> &str {
        self.endpoint.as_str().trim_end_matches('/')
    }

    fn new(endpoint: Url, credentials: Credentials) -> Self {
        Self {
            endpoint: without_query(endpoint),
            credentials,
            container: None,
            policies: Vec::new(),
        }
    }

    fn keyed(endpoint: Url, account: &str, key: &str) -> Result<Self> {
        let key = AccountKey::new(account, key)?;
        Ok(Self::new(endpoint, Credentials::Key(key)))
    }

    /// The address of a container.
    pub(crate) fn container_url(&self, container: &str) -> Result<Url> {
        if let Some(only) = self.container.as_deref().filter(|only| *only != container) {
            return Err(Error::invalid(format!(
                "shared access signature is for another container: {only:?} instead of \
                 {container:?}"
            ))
            .with_hint("use a signature of that container or of the account"));
        }
        let mut url = self.endpoint.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(container);
        }
        Ok(url)
    }

    /// The credential that the SDK itself understands.
    pub(crate) fn token(&self) -> Option<Arc<dyn TokenCredential>> {
        match &self.credentials {
            Credentials::Entra(credential) => Some(Arc::clone(credential)),
            _ => None,
        }
    }

    /// What every request goes through: signing it, then what the user added.
    pub(crate) fn policies(&self, environment: &Environment) -> Vec<Arc<dyn Policy>> {
        let clear = self.endpoint.scheme() == "http";
        let mut policies: Vec<Arc<dyn Policy>> = Vec::new();
        match &self.credentials {
            Credentials::Entra(_) => {}
            Credentials::Signature(signature) => {
                policies.push(Arc::new(SignaturePolicy::fixed(signature.clone())));
            }
            Credentials::Key(key) => {
                let clock = Arc::clone(&environment.clock);
                policies.push(Arc::new(SignaturePolicy::made(key.clone(), clock, clear)));
            }
        }
        policies.extend(self.policies.iter().cloned());
        policies
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = match &self.credentials {
            Credentials::Entra(_) => "Entra ID",
            Credentials::Signature(_) => "shared access signature",
            Credentials::Key(_) => "account key",
        };
        f.debug_struct("Connection")
            .field("endpoint", &self.endpoint())
            .field("credentials", &credentials)
            .finish_non_exhaustive()
    }
}

/// Where a connection without TLS is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clear {
    Refused,
    OnThisMachine,
    Accepted,
}

/// Reads the address of an account. The text is not repeated in errors: it may hold a signature.
fn parse_endpoint(text: &str, clear: Clear) -> Result<Url> {
    let url = Url::parse(text).map_err(|e| {
        Error::invalid("blob endpoint is no valid URL")
            .with_source(e)
            .with_hint("write it like https://account.blob.core.windows.net")
    })?;
    let is_here = url.host().is_some_and(|host| match host {
        url::Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    });
    let is_clear_accepted = match clear {
        Clear::Refused => false,
        Clear::OnThisMachine => is_here,
        Clear::Accepted => true,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_clear_accepted => Ok(url),
        "http" => Err(Error::invalid(format!(
            "blob endpoint has no TLS: http://{}",
            url.host_str().unwrap_or_default()
        ))
        .with_hint(match clear {
            Clear::Refused => "use https://: Entra ID tokens are not sent in the clear",
            _ => "use https://; where the network is trusted, set AZURE_ALLOW_HTTP=true",
        })),
        other => Err(
            Error::invalid(format!("blob endpoint has an unknown scheme: {other:?}"))
                .with_hint("write it like https://account.blob.core.windows.net"),
        ),
    }
}

fn has_signature(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "sig")
}

fn without_query(mut url: Url) -> Url {
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Takes the container off a URL. Where the host is an address or this machine, as with an
/// emulator, the first segment is the account.
fn split_container(url: Url) -> Result<(Url, Option<String>)> {
    let account_in_path = match url.host() {
        Some(url::Host::Domain(name)) => !name.contains('.'),
        _ => true,
    };
    let mut url = without_query(url);
    let segments: Vec<String> = url
        .path_segments()
        .into_iter()
        .flatten()
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
        .collect();
    let (account, rest) = segments.split_at(usize::from(account_in_path).min(segments.len()));
    if rest.len() > 1 {
        return Err(
            Error::invalid("URL with a shared access signature names a single blob")
                .with_hint("use a signature of the account or of a container"),
        );
    }
    let container = rest.first().cloned();
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().extend(account);
    }
    Ok((url, container))
}

#[cfg(test)]
mod tests {
    use esm_core::ErrorKind;

    use super::*;

    #[test]
    fn a_sas_url_is_of_an_account_or_of_a_container() -> Result<()> {
        let account = Connection::from_sas_url("https://a.blob.core.windows.net/?sv=1&sig=SECRET")?;
        assert_eq!(account.endpoint(), "https://a.blob.core.windows.net");
        assert_eq!(
            account.container_url("c")?.as_str(),
            "https://a.blob.core.windows.net/c"
        );
        let container =
            Connection::from_sas_url("https://a.blob.core.windows.net/c?sv=1&sig=SECRET")?;
        assert_eq!(
            container.container_url("c")?.as_str(),
            "https://a.blob.core.windows.net/c"
        );
        let other = container.container_url("d").unwrap_err();
        assert_eq!(other.kind(), &ErrorKind::Invalid);
        let local = Connection::from_sas_url("http://127.0.0.1:10000/dev/c?sig=SECRET")?;
        assert_eq!(
            local.container_url("c")?.as_str(),
            "http://127.0.0.1:10000/dev/c"
        );
        Ok(())
    }

    #[test]
    fn what_is_no_sas_url_is_refused_without_repeating_it() {
        for text in [
            "SECRET",
            "https://a.blob.core.windows.net/c?sv=SECRET",
            "http://a.example/c?sig=SECRET",
            "ftp://a.example/c?sig=SECRET",
            "https://a.blob.core.windows.net/c/blob?sig=SECRET",
        ] {
            let error = Connection::from_sas_url(text).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Invalid, "{text}");
            assert!(error.hint().is_some(), "{text}");
            assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
        }
    }

    #[test]
    fn debug_shows_no_credentials() -> Result<()> {
        let sas = Connection::from_sas_url("https://a.blob.core.windows.net/?sig=SECRET")?;
        let key = Connection::with_account_key("https://a.example", "a", "U0VDUkVU")?;
        for connection in [sas, key] {
            let policies = connection.policies(&Environment::system());
            let shown = format!("{connection:?} {policies:?}");
            assert!(
                !shown.contains("SECRET") && !shown.contains("U0VDUkVU"),
                "{shown}"
            );
        }
        Ok(())
    }
}
