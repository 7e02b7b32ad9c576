//! One container: its client, and how requests to it are timed, repeated and explained.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use azure_core::http::{ClientOptions, RetryOptions};
use azure_storage_blob::{BlobClient, BlobContainerClient, BlobContainerClientOptions};
use esm_cells::Key;
use esm_core::backoff::BackOff;
use esm_core::clock::Environment;
use esm_core::{Error, Result};
use futures::future::{Either, select};

use crate::connection::{Connection, choose_cryptography};
use crate::failure::Failure;

/// Attempts of one request.
pub(crate) const REQUEST: BackOff =
    BackOff::new(6, Duration::from_millis(100), Duration::from_millis(1600));
/// Longest pause that the service may ask for; asked for more, the request fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long an answer to a small request is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a slow line carries in a second: how much longer a large request may take.
const SLOW_LINE: u64 = 256 << 10;

/// A container and the environment in which it is spoken to.
pub(crate) struct Container {
    client: BlobContainerClient,
    environment: Environment,
    /// For messages, without secrets.
    location: String,
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl Container {
    /// The client's own retry is off: it repeats conditional requests too, whose refusal would
    /// then say nothing of the first try.
    pub(crate) fn new(
        connection: &Connection,
        container: &str,
        location: String,
        environment: Environment,
    ) -> Result<Self> {
        let options = BlobContainerClientOptions {
            client_options: ClientOptions {
                retry: RetryOptions::none(),
                per_try_policies: connection.policies(&environment),
                ..ClientOptions::default()
            },
            ..BlobContainerClientOptions::default()
        };
        choose_cryptography();
        let url = connection.container_url(container)?;
        let client = BlobContainerClient::new(url, connection.token(), Some(options))
            .map_err(|e| Failure::from(e).explain("cannot configure the client", &location))?;
        Ok(Self {
            client,
            environment,
            location,
        })
    }

    pub(crate) fn client(&self) -> &BlobContainerClient {
        &self.client
    }

    pub(crate) fn blob(&self, key: &Key) -> BlobClient {
        self.client.blob_client(key.as_str())
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Returns where the container is, for messages; without credentials.
    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    /// Returns a key and its container, for messages.
    pub(crate) fn place(&self, key: &Key) -> String {
        format!("{key} in {}", self.location)
    }

    /// Sends a request once, and waits for the answer as long as this many bytes may take.
    pub(crate) async fn once<T>(
        &self,
        bytes: u64,
        request: impl Future<Output = azure_core::Result<T>>,
    ) -> Result<T, Failure> {
        let patience = PATIENCE + Duration::from_secs(bytes / SLOW_LINE);
        self.within(patience, request).await
    }

    /// Sends a request once, and waits this long for the answer.
    pub(crate) async fn within<T>(
        &self,
        patience: Duration,
        request: impl Future<Output = azure_core::Result<T>>,
    ) -> Result<T, Failure> {
        let (request, timer) = (
            std::pin::pin!(request),
            self.environment.clock.sleep(patience),
        );
        match select(request, timer).await {
            Either::Left((answer, _)) => answer.map_err(Failure::from),
            Either::Right(_) => Err(Failure::timed_out(patience)),
        }
    }

    /// Sends a request that may be repeated, until it succeeds, fails for good, or has failed
    /// often enough.
    pub(crate) async fn repeated<T, F, Fut>(&self, bytes: u64, request: F) -> Result<T, Failure>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = azure_core::Result<T>>,
    {
        let mut back_off = REQUEST;
        loop {
            let failure = match self.once(bytes, request()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if !failure.is_transient() || !self.pause(&mut back_off, &failure).await {
                return Err(failure);
            }
        }
    }

    /// Pauses before a request is retried, at least as long as the service asked for. Returns
    /// `false`, at once, if no attempt is left or the service asked for too much.
    pub(crate) async fn pause(&self, back_off: &mut BackOff, failure: &Failure) -> bool {
        let asked = failure.retry_after().unwrap_or_default();
        asked <= LONGEST_PAUSE && back_off.pause_at_least(asked, &self.environment).await
    }

    /// Makes the container where the credentials allow it.
    ///
    /// # Errors
    /// `PermissionDenied` where they do not.
    pub(crate) async fn create(&self) -> Result<()> {
        match self.repeated(0, || self.client.create(None)).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.code() == "ContainerAlreadyExists" => Ok(()),
            Err(failure) if matches!(failure.status(), Some(401 | 403)) => {
                let error = failure.explain("cannot create the container", &self.location);
                let hint = "container does not exist and these credentials may not create it: \
                            create it by hand, or give them the right to";
                Err(Error::new(error.kind().clone(), error.to_string())
                    .with_source(error)
                    .with_hint(hint))
            }
            Err(failure) => Err(failure.explain("cannot create the container", &self.location)),
        }
    }
}
