//! Signing requests: a shared access signature is added to each address when it is sent, so that
//! clients, and what they say of themselves, know addresses without it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::Secret;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request};
use esm_core::clock::Clock;
use jiff::Timestamp;

use super::account_key::AccountKey;

/// How long a signature that is made here is good for: long enough for clocks that differ.
const VALIDITY: Duration = Duration::from_secs(2 * 60 * 60);
/// How long it is used.
const RENEWAL: Duration = Duration::from_secs(60 * 60);

/// Adds a signature to every request.
pub(super) struct SignaturePolicy(Source);

enum Source {
    Fixed(Secret),
    Made {
        key: AccountKey,
        clock: Arc<dyn Clock>,
        clear: bool,
        current: Mutex<Option<(Timestamp, Secret)>>,
    },
}

impl SignaturePolicy {
    /// A signature that somebody else made.
    pub(super) fn fixed(signature: Secret) -> Self {
        Self(Source::Fixed(signature))
    }

    /// Signatures made from a key, each used for an hour. `clear`: also for requests without TLS.
    pub(super) fn made(key: AccountKey, clock: Arc<dyn Clock>, clear: bool) -> Self {
        Self(Source::Made {
            key,
            clock,
            clear,
            current: Mutex::new(None),
        })
    }

    fn signature(&self) -> esm_core::Result<Secret> {
        match &self.0 {
            Source::Fixed(signature) => Ok(signature.clone()),
            Source::Made {
                key,
                clock,
                clear,
                current,
            } => {
                let now = clock.now();
                let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((made_at, signature)) = &*current
                    && (*made_at..*made_at + RENEWAL).contains(&now)
                {
                    return Ok(signature.clone());
                }
                let signature = key.sign(now + VALIDITY, *clear)?;
                *current = Some((now, signature.clone()));
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for SignaturePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignaturePolicy")
    }
}

#[async_trait]
impl Policy for SignaturePolicy {
    async fn send(
        &self,
        context: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let signature = self.signature().map_err(|e| {
            azure_core::Error::with_error(
                azure_core::error::ErrorKind::Credential,
                e,
                "cannot sign the request",
            )
        })?;
        let url = request.url_mut();
        let query = match url.query() {
            None | Some("") => signature.secret().to_owned(),
            Some(query) => format!("{query}&{}", signature.secret()),
        };
        url.set_query(Some(&query));
        match next.split_first() {
            Some((policy, rest)) => policy.send(context, request, rest).await,
            None => Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Other,
                "nothing sends the request",
            )),
        }
    }
}
