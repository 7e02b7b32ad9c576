//! What a storage error means: judged by its variant and by the I/O errors it was caused by, never
//! by its text.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use esm_cells::{Cause, WriteFailure};
use esm_core::{Error, ErrorKind};
use object_store::Error as StorageError;

/// What a failed write says about whether it happened.
pub(crate) fn explain_write(error: StorageError, place: impl fmt::Display) -> WriteFailure {
    let failure = match &error {
        StorageError::AlreadyExists { .. } | StorageError::Precondition { .. } => {
            WriteFailure::Exists
        }
        other => match kind(other) {
            ErrorKind::Unavailable => WriteFailure::Unknown,
            _ => WriteFailure::Refused,
        },
    };
    failure(explain(error, "cannot write", place))
}

/// Whether an I/O error says that the storage medium itself failed, rather than refused.
pub(crate) fn is_device_failure(error: &StorageError) -> bool {
    !matches!(
        error,
        StorageError::AlreadyExists { .. } | StorageError::NotFound { .. }
    ) && io_kind(error).is_some_and(|kind| {
        use io::ErrorKind as K;
        !matches!(
            kind,
            K::AlreadyExists
                | K::NotFound
                | K::PermissionDenied
                | K::ReadOnlyFilesystem
                | K::StorageFull
                | K::QuotaExceeded
                | K::FileTooLarge
                | K::InvalidFilename
                | K::NotADirectory
                | K::IsADirectory
                | K::DirectoryNotEmpty
                | K::Interrupted
        )
    })
}

/// The error as esm's own: what happened, to which key, and how to mend it.
pub(crate) fn explain(error: StorageError, doing: &str, place: impl fmt::Display) -> Error {
    let kind = kind(&error);
    let hint = hint(&kind, &error);
    let reason = match &kind {
        ErrorKind::NotFound => "not found",
        ErrorKind::PermissionDenied => "permission denied",
        ErrorKind::StorageFull => "no space left",
        ErrorKind::Unsupported => "not supported by this storage",
        ErrorKind::Invalid => "not accepted by this storage",
        _ => "storage failed",
    };
    let explained =
        Error::new(kind, format!("{doing}: {reason}: {place}")).with_source(Cause::of(&error));
    match hint {
        Some(hint) => explained.with_hint(hint),
        None => explained,
    }
}

/// An I/O error of the local file system as esm's own.
pub(crate) fn explain_io(error: io::Error, doing: &str, place: impl fmt::Display) -> Error {
    let error = StorageError::Generic {
        store: "LocalFileSystem",
        source: Box::new(error),
    };
    explain(error, doing, place)
}

fn kind(error: &StorageError) -> ErrorKind {
    match error {
        StorageError::NotFound { .. } => ErrorKind::NotFound,
        StorageError::PermissionDenied { .. } | StorageError::Unauthenticated { .. } => {
            ErrorKind::PermissionDenied
        }
        StorageError::NotSupported { .. } | StorageError::NotImplemented { .. } => {
            ErrorKind::Unsupported
        }
        StorageError::InvalidPath { .. } | StorageError::UnknownConfigurationKey { .. } => {
            ErrorKind::Invalid
        }
        other => match io_kind(other) {
            Some(io::ErrorKind::NotFound) => ErrorKind::NotFound,
            Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
                ErrorKind::PermissionDenied
            }
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                ErrorKind::StorageFull
            }
            Some(io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename) => {
                ErrorKind::Invalid
            }
            _ => ErrorKind::Unavailable,
        },
    }
}

fn hint(kind: &ErrorKind, error: &StorageError) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::PermissionDenied => match (error, io_kind(error)) {
            (_, Some(io::ErrorKind::ReadOnlyFilesystem)) => {
                "the file system is mounted read-only: mount it for writing, or open the store read-only"
            }
            (_, Some(_)) => "give this user access to the directory and all that is in it",
            (StorageError::Unauthenticated { .. }, _) => {
                "set valid credentials in the environment of this process"
            }
            _ => {
                "give these credentials the right to list, read, write and delete below the store's prefix"
            }
        },
        ErrorKind::StorageFull => "free some space or raise the quota, then do the same again",
        ErrorKind::NotFound => "check the name of the bucket, container or directory",
        ErrorKind::Invalid => "check the path: each part above its end must be a directory",
        _ => return None,
    })
}

/// The kind of the innermost I/O error in the chain of causes, if there is one: what only wraps
/// another error says nothing itself.
fn io_kind(error: &StorageError) -> Option<io::ErrorKind> {
    let mut found = None;
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if let Some(io) = io {
            found = Some(io.kind());
        }
        // an io::Error does not count what it wraps among its sources
        next = match io.and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(kind: io::ErrorKind) -> StorageError {
        StorageError::Generic {
            store: "test",
            source: Box::new(io::Error::other(io::Error::from(kind))),
        }
    }

    #[test]
    fn io_errors_are_found_down_the_chain_of_causes() {
        for (io, expected) in [
            (io::ErrorKind::PermissionDenied, ErrorKind::PermissionDenied),
            (
                io::ErrorKind::ReadOnlyFilesystem,
                ErrorKind::PermissionDenied,
            ),
            (io::ErrorKind::StorageFull, ErrorKind::StorageFull),
            (io::ErrorKind::QuotaExceeded, ErrorKind::StorageFull),
            (io::ErrorKind::NotADirectory, ErrorKind::Invalid),
            (io::ErrorKind::TimedOut, ErrorKind::Unavailable),
        ] {
            let error = explain(generic(io), "write", "a/b");
            assert_eq!(error.kind(), &expected, "{io}");
            assert!(error.to_string().ends_with("a/b"), "{error}");
        }
    }

    #[test]
    fn only_what_may_have_happened_is_unknown() {
        let of = |kind| explain_write(generic(kind), "a/b");
        assert!(matches!(
            of(io::ErrorKind::TimedOut),
            WriteFailure::Unknown(_)
        ));
        assert!(matches!(
            of(io::ErrorKind::StorageFull),
            WriteFailure::Refused(_)
        ));
        assert!(is_device_failure(&generic(io::ErrorKind::Other)));
        assert!(!is_device_failure(&generic(io::ErrorKind::StorageFull)));
    }

    #[test]
    fn signatures_never_reach_a_message() {
        let error = StorageError::Generic {
            store: "test",
            source: "GET https://a.example/c/k?sig=SECRET&se=1 failed".into(),
        };
        let error = explain(error, "read", "k");
        assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
        assert!(format!("{error:?}").contains("https://a.example/c/k?… failed"));
    }
}
