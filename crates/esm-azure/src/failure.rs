//! What the service's answers mean: judged by status and error code, never by their text.

use std::fmt;
use std::time::Duration;

use azure_core::error::ErrorKind as SdkKind;
use azure_core::http::headers::HeaderName;
use esm_cells::{Cause, WriteFailure};
use esm_core::{Error, ErrorKind};

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: Cause,
    status: Option<u16>,
    code: String,
    retry_after: Option<Duration>,
    nature: Nature,
}

/// What is known of a failure that has no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// The service answered.
    Answered,
    /// It was never sent.
    NotSent,
    /// It was sent, and no answer came.
    Unanswered,
    /// There was no token to send it with.
    NoToken,
}

impl Failure {
    /// No answer came in time.
    pub(crate) fn timed_out(after: Duration) -> Self {
        Self {
            cause: Cause::new(format!("no answer within {} s", after.as_secs())),
            status: None,
            code: String::new(),
            retry_after: None,
            nature: Nature::Unanswered,
        }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.status
    }

    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// How long the service wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The object is not there; the container is.
    pub(crate) fn is_missing_blob(&self) -> bool {
        self.status == Some(404) && !self.is_missing_container()
    }

    pub(crate) fn is_missing_container(&self) -> bool {
        self.status == Some(404)
            && matches!(
                self.code.as_str(),
                "ContainerNotFound" | "ResourceNotFound" | "ContainerBeingDeleted"
            )
    }

    /// A condition failed, or another blob exists.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self.status, Some(409 | 412)) && self.code != "ContainerBeingDeleted"
    }

    /// The same request may succeed later.
    pub(crate) fn is_transient(&self) -> bool {
        match self.status {
            // also those of gateways on the way, behind which the request may have had its effect
            Some(status) => matches!(status, 408 | 429 | 500..=599),
            None => matches!(self.nature, Nature::NotSent | Nature::Unanswered),
        }
    }

    /// The request certainly never reached the service.
    pub(crate) fn was_not_sent(&self) -> bool {
        self.nature == Nature::NotSent
    }

    /// What the failure of a write says about whether it happened.
    pub(crate) fn of_write(self, place: impl fmt::Display) -> WriteFailure {
        let is_conflict = self.is_conflict();
        let is_unknown = self.is_transient() && !self.was_not_sent();
        let error = self.explain("cannot write", place);
        match (is_conflict, is_unknown) {
            (true, _) => WriteFailure::Exists(error),
            (_, true) => WriteFailure::Unknown(error),
            _ => WriteFailure::Refused(error),
        }
    }

    /// The failure as esm's own error: what happened, to what, and how to mend it.
    pub(crate) fn explain(self, doing: &str, place: impl fmt::Display) -> Error {
        let (kind, reason, hint) = self.judge();
        let error = Error::new(kind, format!("{doing}: {reason}: {place}")).with_source(self.cause);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    fn judge(&self) -> (ErrorKind, &'static str, Option<&'static str>) {
        if self.nature == Nature::NoToken {
            return (
                ErrorKind::PermissionDenied,
                "no credentials available",
                Some("check the identity of this process: see docs/azure.md"),
            );
        }
        match (self.status, self.code.as_str()) {
            (Some(404), _) if self.is_missing_container() => (
                ErrorKind::NotFound,
                "container does not exist",
                Some(
                    "check the name of the container and of the account; if it was deleted, nothing \
                     can be done with this store until it is restored",
                ),
            ),
            (Some(404), _) => (ErrorKind::NotFound, "not found", None),
            (Some(401 | 403), code) => (
                ErrorKind::PermissionDenied,
                "permission denied",
                Some(denial(code)),
            ),
            (Some(400 | 414), _) => (
                ErrorKind::Invalid,
                "not accepted by the service",
                Some("check the endpoint and the names of container and prefix"),
            ),
            (Some(413), _) => (ErrorKind::TooLarge, "larger than the service accepts", None),
            (Some(409), "ContainerBeingDeleted") => (
                ErrorKind::Unavailable,
                "container is being deleted",
                Some("wait until it is gone, or take another one"),
            ),
            (Some(409), "AccountIsDisabled") => {
                (ErrorKind::PermissionDenied, "account is disabled", None)
            }
            (Some(429 | 503), _) => (
                ErrorKind::Unavailable,
                "the service is busy",
                Some("do less at once, or try again later"),
            ),
            _ => (ErrorKind::Unavailable, "storage failed", None),
        }
    }
}

/// How to mend a request that was refused.
fn denial(code: &str) -> &'static str {
    match code {
        "AuthorizationPermissionMismatch" | "InsufficientAccountPermissions" => {
            "give this identity the role \"Storage Blob Data Contributor\" on the container, or the \
             signature the permissions racwdl"
        }
        "AuthorizationResourceTypeMismatch" | "AuthorizationServiceMismatch" => {
            "take a signature for blobs, with the resource types service, container and object"
        }
        "AuthorizationProtocolMismatch" => "use https://: the signature is for it alone",
        "AuthorizationSourceIPMismatch" | "IpAuthorizationError" => {
            "the signature or the account's firewall does not allow this machine's address"
        }
        "KeyBasedAuthenticationNotPermitted" => {
            "the account accepts Entra ID alone: use an identity instead of a key"
        }
        _ => {
            "check the key or the signature, whether it has expired, whether this machine's clock is \
             right, and the rights that it gives"
        }
    }
}

impl From<azure_core::Error> for Failure {
    fn from(error: azure_core::Error) -> Self {
        let (nature, cause) = match error.kind() {
            SdkKind::HttpResponse {
                status,
                error_code,
                raw_response,
            } => {
                let header = |name: &'static str| {
                    let headers = raw_response.as_ref()?.headers();
                    headers.get_optional_str(&HeaderName::from_static(name))
                };
                let code = error_code.clone().unwrap_or_default();
                let request = header("x-ms-request-id").unwrap_or("unknown");
                return Self {
                    // the body is not repeated: it may quote the signature
                    cause: Cause::new(format!(
                        "status {}, {code}, request {request}",
                        u16::from(*status)
                    )),
                    status: Some(u16::from(*status)),
                    code,
                    retry_after: retry_after(&header),
                    nature: Nature::Answered,
                };
            }
            SdkKind::Connection => (Nature::NotSent, Cause::of(&error)),
            SdkKind::Credential => (Nature::NoToken, Cause::of(&error)),
            _ => (Nature::Unanswered, Cause::of(&error)),
        };
        Self {
            cause,
            status: None,
            code: String::new(),
            retry_after: None,
            nature,
        }
    }
}

/// Seconds, or milliseconds in Azure's own headers; a date, which needs a clock, is left aside.
fn retry_after<'a>(header: &impl Fn(&'static str) -> Option<&'a str>) -> Option<Duration> {
    let number = |name| header(name)?.trim().parse::<u64>().ok();
    number("retry-after-ms")
        .or_else(|| number("x-ms-retry-after-ms"))
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))
}
