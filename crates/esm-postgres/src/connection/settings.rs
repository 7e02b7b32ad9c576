//! Where a database is, and how to connect to it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use esm_core::{Error, Result};
use url::Url;

use super::password_file;

const FORMS: &str = "write postgres://user@host:5432/database, with ?layout=NAME for the tables of \
                     another library";

/// How long a connection attempt may take, if nothing else is set.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Parameters of an address that esm knows.
const PARAMETERS: [&str; 12] = [
    "application_name",
    "connect_timeout",
    "host",
    "layout",
    "passfile",
    "schema",
    "search_path",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// How a connection is encrypted, with the names and meanings of PostgreSQL's own clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    /// Never.
    Disable,
    /// If the server offers it; its certificate is not verified.
    #[default]
    Prefer,
    /// Always; the certificate is verified only if root certificates are named.
    Require,
    /// Always; the certificate must be signed by a trusted root.
    VerifyCa,
    /// Always; the certificate must be signed by a trusted root, for this host.
    VerifyFull,
}

impl SslMode {
    fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "disable" => Self::Disable,
            // libpq's `allow` tries without encryption first, which protects nothing more
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                return Err(Error::invalid(format!("unknown sslmode: {text:?}"))
                    .with_hint("write disable, prefer, require, verify-ca or verify-full"));
            }
        })
    }
}

/// Where a database is, and how to connect to it.
///
/// Values come from the address, then from the variables of PostgreSQL's own clients (`PGHOST`,
/// `PGPORT`, `PGUSER`, `PGDATABASE`, `PGPASSWORD`, `PGPASSFILE`, `PGSSLMODE`, `PGSSLROOTCERT`,
/// `PGSSLCERT`, `PGSSLKEY`, `PGCONNECT_TIMEOUT`, `PGAPPNAME`). A password comes from `PGPASSWORD` or
/// the password file, never from an address. Neither `Debug` nor `Display` shows it.
#[derive(Clone)]
pub struct Settings {
    host: String,
    port: u16,
    user: String,
    database: String,
    password: Option<String>,
    pub(super) tls: TlsSettings,
    application_name: String,
    connect_timeout: Duration,
    parameters: BTreeMap<String, String>,
}

/// How a connection is encrypted, and with which certificates.
#[derive(Debug, Clone, Default)]
pub(super) struct TlsSettings {
    pub(super) mode: SslMode,
    /// A file of root certificates in PEM; `system` for those of the operating system.
    pub(super) roots: Option<String>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

impl Settings {
    /// Returns whether a text is meant to be an address of a PostgreSQL database.
    pub fn is_address(text: &str) -> bool {
        text.starts_with("postgres:") || text.starts_with("postgresql:")
    }

    /// Reads an address and the process's environment.
    ///
    /// # Errors
    /// `Invalid` for a malformed address, one with a password, an unknown parameter, or an
    /// unreadable password file.
    pub fn from_environment(address: &str) -> Result<Self> {
        Self::new(address, |name| std::env::var(name).ok())
    }

    /// Reads an address, and variables through a function.
    ///
    /// # Errors
    /// As [`from_environment`](Self::from_environment).
    pub fn new(address: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let (url, parameters) = parse(address)?;
        let given = |parameter: &str, name: &str| {
            let own = parameters.get(parameter).cloned();
            own.or_else(|| variable(name))
        };
        let host = match url.host_str().filter(|host| !host.is_empty()) {
            Some(host) => decoded(host)?,
            None => given("host", "PGHOST").unwrap_or_else(|| "localhost".to_owned()),
        };
        let port = match (url.port(), variable("PGPORT")) {
            (Some(port), _) => port,
            (None, Some(text)) => text
                .parse()
                .map_err(|_| Error::invalid(format!("PGPORT is no port: {text:?}")))?,
            (None, None) => 5432,
        };
        let user = match decoded(url.username())? {
            empty if empty.is_empty() => given("user", "PGUSER")
                .or_else(|| variable("USER"))
                .unwrap_or_else(|| "postgres".to_owned()),
            user => user,
        };
        let database = match decoded(url.path().trim_start_matches('/'))? {
            empty if empty.is_empty() => variable("PGDATABASE").unwrap_or_else(|| user.clone()),
            database => database,
        };
        let mode = given("sslmode", "PGSSLMODE");
        let mode = mode.map_or(Ok(SslMode::default()), |text| SslMode::parse(&text))?;
        let connect_timeout = match given("connect_timeout", "PGCONNECT_TIMEOUT") {
            None => CONNECT_TIMEOUT,
            Some(text) => Duration::from_secs(text.parse().map_err(|_| {
                Error::invalid(format!("connect_timeout is no number of seconds: {text:?}"))
            })?),
        };
        let mut settings = Self {
            host,
            port,
            user,
            database,
            password: variable("PGPASSWORD"),
            tls: TlsSettings {
                mode,
                roots: given("sslrootcert", "PGSSLROOTCERT"),
                certificate: given("sslcert", "PGSSLCERT").map(PathBuf::from),
                key: given("sslkey", "PGSSLKEY").map(PathBuf::from),
            },
            application_name: given("application_name", "PGAPPNAME")
                .unwrap_or_else(|| "esm".to_owned()),
            connect_timeout,
            parameters: parameters.clone(),
        };
        if settings.password.is_none() {
            let home = variable("HOME").map(|home| format!("{home}/.pgpass"));
            let named = given("passfile", "PGPASSFILE");
            settings.password = match (named, home) {
                (Some(path), _) => password_file::find(path.as_ref(), &settings.login())?,
                (None, Some(path)) if std::path::Path::new(&path).is_file() => {
                    password_file::find(path.as_ref(), &settings.login())?
                }
                _ => None,
            };
        }
        Ok(settings)
    }

    /// Returns a parameter of the address that is no setting of the connection: `layout`, `schema`
    /// or `search_path`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Returns the name of the user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the name of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Returns the configuration of a client.
    pub(super) fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config
            .host(&self.host)
            .port(self.port)
            .user(&self.user)
            .dbname(&self.database)
            .application_name(&self.application_name)
            .connect_timeout(self.connect_timeout)
            .keepalives_idle(Duration::from_secs(30))
            .tcp_user_timeout(Duration::from_secs(60))
            .ssl_mode(match self.tls.mode {
                SslMode::Disable => tokio_postgres::config::SslMode::Disable,
                SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
                _ => tokio_postgres::config::SslMode::Require,
            });
        if let Some(password) = &self.password {
            config.password(password);
        }
        config
    }

    fn login(&self) -> password_file::Login<'_> {
        // as PostgreSQL's own clients: a socket's directory is looked up as localhost
        let host = if self.host.starts_with('/') {
            "localhost"
        } else {
            &self.host
        };
        password_file::Login {
            host,
            port: self.port,
            database: &self.database,
            user: &self.user,
        }
    }
}

/// The address without secrets, with the parameters that say what is read.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            port,
            user,
            database,
            ..
        } = self;
        if host.starts_with('/') {
            write!(f, "postgres:///{database}?host={host}&user={user}")?;
        } else {
            write!(f, "postgres://{user}@{host}:{port}/{database}")?;
        }
        let mut separator = if host.starts_with('/') { '&' } else { '?' };
        for name in ["layout", "schema", "search_path"] {
            if let Some(value) = self.parameter(name) {
                write!(f, "{separator}{name}={value}")?;
                separator = '&';
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("address", &self.to_string())
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// Splits an address. No message repeats it: it may hold a password.
fn parse(address: &str) -> Result<(Url, BTreeMap<String, String>)> {
    let url = Url::parse(address).map_err(|e| {
        Error::invalid("store address is no valid URL")
            .with_source(e)
            .with_hint(FORMS)
    })?;
    let has_password = url.password().is_some();
    let parameters: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    if has_password || parameters.contains_key("password") {
        return Err(Error::invalid("store address holds a password").with_hint(
            "set PGPASSWORD, or write the password into a password file (~/.pgpass or PGPASSFILE): \
             addresses are kept in plans and shown in messages",
        ));
    }
    let unknown = parameters.keys().find(|key| !PARAMETERS.contains(&&***key));
    if let Some(unknown) = unknown {
        let message = format!("store address has an unknown parameter: {unknown}");
        return Err(Error::invalid(message)
            .with_hint(format!("the parameters are {}", PARAMETERS.join(", "))));
    }
    if url.fragment().is_some() || url.cannot_be_a_base() {
        return Err(Error::invalid("store address is no address of a database").with_hint(FORMS));
    }
    Ok((url, parameters))
}

/// Decodes `%2F` and the like.
fn decoded(text: &str) -> Result<String> {
    let pairs = format!("x={}", text.replace('+', "%2B"));
    let mut decoded = url::form_urlencoded::parse(pairs.as_bytes());
    let value = decoded.next().map(|(_, value)| value.into_owned());
    value
        .filter(|value| !value.contains('\u{fffd}'))
        .ok_or_else(|| Error::invalid("store address is not encoded as UTF-8").with_hint(FORMS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(address: &str, variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::new(address, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_address_comes_before_the_variables() -> Result<()> {
        let variables = [
            ("PGHOST", "elsewhere"),
            ("PGPORT", "7"),
            ("PGUSER", "other"),
            ("PGDATABASE", "archive"),
            ("PGSSLMODE", "require"),
        ];
        let all = settings(
            "postgres://eva@db:6432/shop?layout=marten&sslmode=disable",
            &variables,
        )?;
        assert_eq!(all.to_string(), "postgres://eva@db:6432/shop?layout=marten");
        assert_eq!(all.tls.mode, SslMode::Disable);
        let none = settings("postgres://", &variables)?;
        assert_eq!(none.to_string(), "postgres://other@elsewhere:7/archive");
        assert_eq!(none.tls.mode, SslMode::Require);
        let bare = settings("postgresql:///", &[("USER", "eva")])?;
        assert_eq!(bare.to_string(), "postgres://eva@localhost:5432/eva");
        Ok(())
    }

    #[test]
    fn names_are_decoded_and_a_socket_is_a_parameter() -> Result<()> {
        let encoded = settings("postgres://e%40va@db/my%20shop", &[])?;
        assert_eq!((encoded.user(), encoded.database()), ("e@va", "my shop"));
        let socket = settings("postgres:///shop?host=/run/pg&user=eva&schema=esm", &[])?;
        assert_eq!(
            socket.to_string(),
            "postgres:///shop?host=/run/pg&user=eva&schema=esm"
        );
        Ok(())
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_never_repeated() {
        for address in [
            "postgres://eva:s3cret@db/shop",
            "postgres://eva@db/shop?password=s3cret",
        ] {
            let error = settings(address, &[]).unwrap_err();
            assert!(error.hint().is_some_and(|hint| hint.contains("PGPASSWORD")));
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn debug_shows_no_password() -> Result<()> {
        let with = settings("postgres://eva@db/shop", &[("PGPASSWORD", "s3cret")])?;
        assert_eq!(with.password.as_deref(), Some("s3cret"));
        assert!(!format!("{with:?} {with}").contains("s3cret"));
        Ok(())
    }

    #[test]
    fn what_is_no_address_or_setting_is_refused() {
        for address in [
            "postgres:shop",
            "postgres://db/shop?sslmode=perhaps",
            "postgres://db/shop?colour=red",
            "postgres://db/shop?connect_timeout=soon",
            "postgres://db:port/shop",
            "postgres://db/shop#x",
            "postgres://%ff@db/shop",
        ] {
            assert!(settings(address, &[]).is_err(), "{address}");
        }
        assert!(settings("postgres://db/shop", &[("PGPORT", "x")]).is_err());
    }
}
