//! One container: its client, and how requests to it are timed, repeated and explained.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use azure_core::http::{ClientOptions, RetryOptions};
use azure_storage_blob::{BlobClient, BlobContainerClient, BlobContainerClientOptions};
use esm_cells::Key;
use esm_core::clock::Environment;
use esm_core::{Error, Result};
use futures::future::{Either, select};

use crate::connection::Connection;
use crate::failure::Failure;

/// How often a request that may be repeated is sent.
const ATTEMPTS: u32 = 6;
/// The pause before the second try; it doubles, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
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
        let mut pauses = Pauses::new();
        loop {
            let failure = match self.once(bytes, request()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if !failure.is_transient() || !pauses.pause(&self.environment, &failure).await {
                return Err(failure);
            }
        }
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

/// The pauses between the tries of one request.
pub(crate) struct Pauses {
    next: Duration,
    left: u32,
}

impl Pauses {
    pub(crate) fn new() -> Self {
        Self {
            next: FIRST_PAUSE,
            left: ATTEMPTS - 1,
        }
    }

    /// Waits: longer each time, with jitter, and at least as long as the service asked for.
    /// Returns whether to retry.
    pub(crate) async fn pause(&mut self, environment: &Environment, failure: &Failure) -> bool {
        let asked = failure.retry_after().unwrap_or_default();
        if self.left == 0 || asked > LONGEST_PAUSE {
            return false;
        }
        let pause = environment.jittered(self.next).max(asked);
        environment.clock.sleep(pause).await;
        self.next *= 2;
        self.left -= 1;
        true
    }
}
