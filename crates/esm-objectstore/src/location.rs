//! Where a store is: from an address to a client.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use esm_core::{Error, Result};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use url::Url;

use crate::failure::{explain, explain_io};
use crate::local::LocalDirectory;

/// A parsed address of a store.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Location {
    Directory(PathBuf),
    Memory,
    #[cfg(feature = "aws")]
    S3(Url, Path),
    #[cfg(feature = "gcp")]
    Gcs(Url, Path),
    #[cfg(feature = "azure")]
    Azure(Url, Path),
}

/// Clients of a location.
pub(crate) struct Clients {
    /// The same text for the same place, where that is known: see `Objects::place`.
    pub(crate) place: Option<String>,
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// For conditional writes; does not retry.
    pub(crate) writes: Arc<dyn ObjectStore>,
    pub(crate) root: Path,
}

const FORMS: &str = "write file:///path, sqlite:/path/file.db, postgres://user@host/database?schema=NAME, memory:, \
     s3://bucket/prefix, gs://bucket/prefix or az://container/prefix";

impl Location {
    /// Reads an address; what has no scheme is a path.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::invalid("store address is empty").with_hint(FORMS));
        }
        if !has_scheme(text) {
            return Self::directory(FilePath::new(text));
        }
        let url = Url::parse(text).map_err(|e| {
            // the text may hold a password: it is not repeated
            Error::invalid("store address is no valid URL")
                .with_source(e)
                .with_hint(FORMS)
        })?;
        match url.scheme() {
            "file" => Self::file(&url),
            "memory" => Ok(Self::Memory),
            "s3" | "s3a" | "gs" | "az" | "azure" | "abfs" | "abfss" => Self::remote(url),
            other => Err(
                Error::invalid(format!("store address has an unknown scheme: {other}")).with_hint(
                    format!("{FORMS}; a path that begins like a URL is written ./{other}:…"),
                ),
            ),
        }
    }

    fn file(url: &Url) -> Result<Self> {
        if url.query().is_some() || url.fragment().is_some() {
            return Err(
                Error::invalid("file URL with a query or a fragment").with_hint(
                    "in a URL, write %3F for ? and %23 for #; or give the path without file://",
                ),
            );
        }
        let path = url.to_file_path().map_err(|()| {
            Error::invalid("file URL with a host or without an absolute path")
                .with_hint("write three slashes: file:///path")
        })?;
        Self::directory(&path)
    }

    fn directory(path: &FilePath) -> Result<Self> {
        let path = std::path::absolute(path)
            .map_err(|e| explain_io(e, "cannot find the directory", path.display()))?;
        Ok(Self::Directory(path))
    }

    fn remote(url: Url) -> Result<Self> {
        if url.query().is_some() || url.fragment().is_some() || url.password().is_some() {
            return Err(
                Error::invalid("store address has a query, a fragment or a password").with_hint(
                    "give credentials and options in the environment: see docs/providers.md",
                ),
            );
        }
        // before the @ of an Azure address is the container
        if matches!(url.scheme(), "s3" | "s3a" | "gs") && !url.username().is_empty() {
            return Err(Error::invalid("store address has a user name")
                .with_hint("give credentials in the environment: see docs/providers.md"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(
                Error::invalid(format!("store address names no bucket: {url}")).with_hint(FORMS),
            );
        }
        let root = Path::from_url_path(url.path()).map_err(|e| {
            Error::invalid(format!("store address has an invalid path: {url}")).with_source(e)
        })?;
        Self::client_for(url, root)
    }

    #[cfg_attr(
        not(any(feature = "aws", feature = "gcp", feature = "azure")),
        expect(unused_variables, reason = "only clients that are compiled in use it")
    )]
    fn client_for(url: Url, root: Path) -> Result<Self> {
        match url.scheme() {
            #[cfg(feature = "aws")]
            "s3" | "s3a" => Ok(Self::S3(url, root)),
            #[cfg(feature = "gcp")]
            "gs" => Ok(Self::Gcs(url, root)),
            #[cfg(feature = "azure")]
            "az" | "azure" | "abfs" | "abfss" => Ok(Self::Azure(url, root)),
            scheme => {
                let feature = match scheme {
                    "s3" | "s3a" => "aws",
                    "gs" => "gcp",
                    _ => "azure",
                };
                Err(
                    Error::unsupported(format!("this build has no client for {scheme}:// stores"))
                        .with_hint(format!(
                            "build esm-objectstore with the feature {feature:?}"
                        )),
                )
            }
        }
    }

    /// Makes the clients. `create` makes a missing local directory.
    pub(crate) async fn connect(&self, create: bool) -> Result<Clients> {
        match self {
            Self::Directory(path) => open_directory(path.clone(), create).await,
            Self::Memory => {
                let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
                Ok(Clients {
                    place: None,
                    writes: Arc::clone(&objects),
                    objects,
                    root: Path::default(),
                })
            }
            #[cfg(feature = "aws")]
            Self::S3(url, root) => {
                let place = bucket("s3", url, root);
                self.clients(place, root, |retry| crate::remote::s3(url, retry))
            }
            #[cfg(feature = "gcp")]
            Self::Gcs(url, root) => {
                let place = bucket("gs", url, root);
                self.clients(place, root, |retry| crate::remote::gcs(url, retry))
            }
            #[cfg(feature = "azure")]
            // the account is part of some forms of the address only
            Self::Azure(url, root) => {
                self.clients(None, root, |retry| crate::remote::azure(url, retry))
            }
        }
    }

    #[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
    fn clients(
        &self,
        place: Option<String>,
        root: &Path,
        build: impl Fn(object_store::RetryConfig) -> object_store::Result<Arc<dyn ObjectStore>>,
    ) -> Result<Clients> {
        let build =
            |retry| build(retry).map_err(|e| explain(e, "cannot configure the client", self));
        Ok(Clients {
            place,
            objects: build(crate::remote::retrying())?,
            writes: build(crate::remote::once())?,
            root: root.clone(),
        })
    }
}

/// Whether an address names a local directory or memory, rather than a bucket or a container.
pub fn is_local(address: &str) -> bool {
    let scheme = address.split_once(':').map(|(scheme, _)| scheme);
    !has_scheme(address)
        || scheme.is_some_and(|scheme| {
            ["file", "memory"]
                .iter()
                .any(|local| scheme.eq_ignore_ascii_case(local))
        })
}

/// The place that a bucket and a prefix are, however the address is written.
#[cfg(any(feature = "aws", feature = "gcp"))]
fn bucket(scheme: &str, url: &Url, root: &Path) -> Option<String> {
    url.host_str()
        .map(|bucket| format!("{scheme}://{bucket}/{root}"))
}

/// A path may hold a `:`; a scheme is at least two letters, so that `C:\` is a path.
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

/// Returns a client of a local directory, which is created if it is missing.
///
/// It is the client that [`open`](crate::open) uses, whose writes survive a loss of power. Wrap it
/// and pass it to [`open_with_client`](crate::open_with_client).
///
/// # Errors
/// `Invalid` when the path is no directory; `PermissionDenied`, `StorageFull`, `Unavailable`.
pub async fn local_directory(path: impl Into<PathBuf>) -> Result<Arc<dyn ObjectStore>> {
    Ok(open_directory(path.into(), true).await?.objects)
}

fn no_directory(path: &FilePath) -> Error {
    Error::not_found(format!("no such directory: {}", path.display()))
        .with_hint("check the path; `esm store init` makes a store there")
}

async fn open_directory(path: PathBuf, create: bool) -> Result<Clients> {
    let opened = tokio::task::spawn_blocking(move || {
        if create {
            create_directory(&path)
                .map_err(|e| explain_io(e, "cannot create the directory", path.display()))?;
        }
        let metadata = std::fs::metadata(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => no_directory(&path),
            _ => explain_io(e, "cannot open the directory", path.display()),
        })?;
        if !metadata.is_dir() {
            return Err(Error::invalid(format!(
                "store is a file, not a directory: {}",
                path.display()
            ))
            .with_hint("give the directory that the store is to live in"));
        }
        LocalDirectory::open(&path)
            .map_err(|e| explain(e, "cannot open the directory", path.display()))
    });
    let opened = match opened.await {
        Ok(opened) => opened?,
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    };
    let place = opened.root().display().to_string();
    let opened: Arc<dyn ObjectStore> = Arc::new(opened);
    Ok(Clients {
        place: Some(place),
        writes: Arc::clone(&opened),
        objects: opened,
        root: Path::default(),
    })
}

/// Makes a directory and those that lead to it, each durable in the one above.
fn create_directory(path: &FilePath) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        create_directory(above)?;
    }
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    #[cfg(unix)]
    if let Some(above) = path.parent() {
        std::fs::File::open(above)?.sync_all()?;
    }
    Ok(())
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Memory => f.write_str("memory:"),
            #[cfg(feature = "aws")]
            Self::S3(url, _) => write!(f, "{url}"),
            #[cfg(feature = "gcp")]
            Self::Gcs(url, _) => write!(f, "{url}"),
            #[cfg(feature = "azure")]
            Self::Azure(url, _) => write!(f, "{url}"),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

#[cfg(test)]
mod tests {
    use esm_core::ErrorKind;

    use super::*;

    #[test]
    fn directories_are_given_as_urls_or_paths() -> Result<()> {
        let path = |text| match Location::parse(text)? {
            Location::Directory(path) => Ok(path),
            other => Err(Error::invalid(format!("{other:?}"))),
        };
        assert_eq!(path("file:///a/b%20c")?, PathBuf::from("/a/b c"));
        assert_eq!(path("file:///a/b%3Fc%23d")?, PathBuf::from("/a/b?c#d"));
        assert_eq!(path("/a/b:c")?, PathBuf::from("/a/b:c"));
        assert_eq!(path("/a/b?c#d")?, PathBuf::from("/a/b?c#d"));
        assert!(path("a/b")?.is_absolute());
        assert_eq!(Location::parse("memory:")?, Location::Memory);
        Ok(())
    }

    #[test]
    fn a_path_with_a_colon_is_local() {
        for local in [
            "a/b:c",
            "/a:b/c",
            "C:\\a",
            "./ab:c",
            "file:///a:b",
            "FILE:/a",
            "memory:",
        ] {
            assert!(is_local(local), "{local}");
        }
        for remote in ["s3://bucket", "az://container/a:b", "ab:c"] {
            assert!(!is_local(remote), "{remote}");
        }
    }

    #[test]
    fn a_wrong_address_is_refused_without_repeating_what_may_be_secret() {
        for text in [
            "",
            "file://host/a",
            "file:///a?b",
            "file:///a#b",
            "http://a/b",
            "s3://",
            "s3:///prefix",
            "az://key:SECRET@container/prefix",
            "s3://SECRET@bucket/prefix",
            "gs://SECRET@bucket",
            "https://account.blob.core.windows.net/c?sig=SECRET",
            "s3://bucket/prefix?signature=SECRET",
        ] {
            let error = Location::parse(text).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Invalid, "{text}");
            assert!(error.hint().is_some(), "{text}");
            assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
        }
    }

    #[cfg(not(feature = "gcp"))]
    #[test]
    fn a_client_that_is_not_compiled_in_is_named() {
        let error = Location::parse("gs://bucket/prefix").unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Unsupported);
        assert!(error.hint().is_some_and(|hint| hint.contains("\"gcp\"")));
    }
}
