//! The one error type of esm.
//!
//! Two questions decide an [`ErrorKind`]: *may it have happened?* and *what should the caller do?*

use std::error::Error as StdError;
use std::fmt;

use crate::store::{Close, LockInfo};

/// A result with esm's own [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in terms of what the caller can do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The requested item does not exist.
    NotFound,
    /// The item to be created exists already.
    AlreadyExists,
    /// The expected state is not the actual one; nothing was written. Reload and decide.
    Conflict {
        /// Number of events the stream really has, where the store knows it.
        actual: Option<u64>,
    },
    /// The stream is closed; its events continue where the [`Close`] says. Nothing was written.
    Closed(Box<Close>),
    /// Another holder has taken over (a higher epoch, or a Fence); stop.
    Fenced,
    /// The object was deleted.
    Deleted,
    /// Events that are known to have been acknowledged are absent: deleted on purpose (a tombstone),
    /// or lost.
    Gone,
    /// It certainly did not happen; trying again later may help.
    Unavailable,
    /// It may or may not have happened: settle it by reading back before doing anything else.
    Ambiguous,
    /// The input is wrong; the message names what, where and how to mend it.
    Invalid,
    /// This is not offered (yet), by esm or by this store.
    Unsupported,
    /// Stored data contradicts itself: a failed checksum, a broken chain, a newer format.
    Corrupt,
    /// An event or a cell is larger than the store's limit.
    TooLarge,
    /// The credentials do not allow it.
    PermissionDenied,
    /// The storage has no room left.
    StorageFull,
    /// The lock is held by another.
    LockHeld(Box<LockInfo>),
    /// The lock was lost; everything stopped where it was. Resume to continue.
    LockLost,
    /// The stream continues in a store that this process does not know.
    UnknownStore,
    /// A transformation failed on an event.
    TransformFailed,
    /// The target does not equal the transformed source.
    VerificationFailed,
    /// The plan no longer fits: its source, transformation, options or store differ.
    PlanOutdated,
    /// The caller requested a stop; the state is resumable.
    Cancelled,
    /// An undo failed or cannot continue; the message says what an operator can do.
    Stuck,
}

/// What went wrong, with a message for people and a [kind](ErrorKind) for programs.
///
/// The message is a lower-case fragment with the variable parts last; [`hint`](Error::hint) says
/// how to mend it, where esm knows.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of this kind with this message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            source: None,
        }))
    }

    /// The input is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Stored data contradicts itself.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// This is not offered.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// The item does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Adds a hint: how to mend it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Puts where it happened in front of the message: `{context}: {message}`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// What went wrong, for programs.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// How to mend it, where known.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Whether it says that stored data is damaged or missing.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self.kind(), ErrorKind::Corrupt | ErrorKind::Gone)
    }

    /// Whether the same call may succeed later, without any repair.
    ///
    /// An [`Ambiguous`](ErrorKind::Ambiguous) call must be settled first.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Unavailable
                | ErrorKind::Ambiguous
                | ErrorKind::Conflict { .. }
                | ErrorKind::LockHeld(_)
                | ErrorKind::LockLost
                | ErrorKind::UnknownStore
        )
    }

    /// Whether the call may have taken effect although it failed.
    pub fn may_have_applied(&self) -> bool {
        matches!(self.kind(), ErrorKind::Ambiguous)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind)
            .field("message", &self.0.message);
        if let Some(hint) = &self.0.hint {
            out.field("hint", hint);
        }
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|e| e as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_word_wide_so_that_results_stay_small() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn only_an_ambiguous_error_may_have_applied() {
        assert!(Error::new(ErrorKind::Ambiguous, "timed out").may_have_applied());
        assert!(!Error::new(ErrorKind::Unavailable, "refused").may_have_applied());
        assert!(Error::new(ErrorKind::Unavailable, "refused").is_retryable());
        assert!(!Error::invalid("empty name").is_retryable());
    }

    #[test]
    fn context_comes_first_and_the_source_is_kept() {
        let error = Error::invalid("empty name")
            .with_source(std::io::Error::other("inner"))
            .context("line 3")
            .with_hint("give it a name");
        assert_eq!(error.to_string(), "line 3: empty name");
        assert_eq!(error.hint(), Some("give it a name"));
        assert_eq!(
            error.source().map(ToString::to_string).as_deref(),
            Some("inner")
        );
    }
}
