//! The outcome of one trial of a self-test.

use esm_core::store::Shortcoming;
use esm_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// A guarantee that a store does not keep, as its self-test found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The missing guarantee.
    pub shortcoming: Shortcoming,
    /// The observation that shows it.
    pub seen: String,
}

/// Why a trial did not pass.
#[derive(Debug)]
pub(super) enum Failed {
    /// The store does not keep a guarantee.
    Finding(Finding),
    /// The trial proved nothing.
    Error(Error),
}

/// The outcome of a trial.
pub(super) type Trial<T = ()> = std::result::Result<T, Failed>;

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Fails a trial: the missing guarantee, and the observation that shows it.
pub(super) fn found<T>(shortcoming: Shortcoming, seen: impl Into<String>) -> Trial<T> {
    Err(Failed::Finding(Finding {
        shortcoming,
        seen: seen.into(),
    }))
}

/// Returns whether the store refused a write.
///
/// # Errors
/// `Unavailable` and `Ambiguous`, which do not say so.
pub(super) fn refusal<T>(response: Result<T>) -> Trial<bool> {
    match response {
        Ok(_) => Ok(false),
        Err(e) if matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Ambiguous) => {
            Err(e.into())
        }
        Err(_) => Ok(true),
    }
}
