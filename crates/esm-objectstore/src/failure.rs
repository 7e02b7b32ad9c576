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
        other if is_exhausted(other) => WriteFailure::Refused,
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
    ) && io_error(error).is_some_and(|error| {
        use io::ErrorKind as K;
        !is_limit(error)
            && !matches!(
                error.kind(),
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
                    | K::OutOfMemory
                    | K::Unsupported
            )
    })
}

/// The error as esm's own: what happened, to which key, and how to mend it.
pub(crate) fn explain(error: StorageError, doing: &str, place: impl fmt::Display) -> Error {
    let kind = kind(&error);
    let hint = hint(&kind, &error);
    let reason = match &kind {
        _ if is_exhausted(&error) => "too many open files",
        ErrorKind::Unsupported if lacks_hard_links(&error) => "the file system has no hard links",
        ErrorKind::PermissionDenied
            if io_kind(&error) == Some(io::ErrorKind::ReadOnlyFilesystem) =>
        {
            "the file system is read-only"
        }
        ErrorKind::StorageFull if io_kind(&error) == Some(io::ErrorKind::QuotaExceeded) => {
            "quota exceeded"
        }
        ErrorKind::StorageFull if io_kind(&error) == Some(io::ErrorKind::FileTooLarge) => {
            "over the limit of file sizes (ulimit -f)"
        }
        ErrorKind::NotFound => "not found",
        ErrorKind::PermissionDenied => "permission denied",
        ErrorKind::StorageFull => "no space or no inodes left",
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
            Some(
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge,
            ) => ErrorKind::StorageFull,
            Some(io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename) => {
                ErrorKind::Invalid
            }
            Some(io::ErrorKind::Unsupported) => ErrorKind::Unsupported,
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
        ErrorKind::StorageFull => {
            "free some space or inodes (df, df -i) or raise the quota, then do the same again"
        }
        ErrorKind::Unsupported if lacks_hard_links(error) => {
            "put the store on a local file system with hard links (ext4, XFS, Btrfs, ZFS, APFS, NTFS; \
             not FAT or exFAT), or in an object store"
        }
        _ if is_exhausted(error) => {
            "raise the limit of open files of this process (ulimit -n), then do the same again"
        }
        ErrorKind::NotFound => "check the name of the bucket, container or directory",
        ErrorKind::Invalid => "check the path: each part above its end must be a directory",
        _ => return None,
    })
}

/// The kind of the [innermost I/O error](io_error).
fn io_kind(error: &StorageError) -> Option<io::ErrorKind> {
    io_error(error).map(io::Error::kind)
}

/// The innermost I/O error in the chain of causes, if there is one: what only wraps another error
/// says nothing itself.
fn io_error(error: &StorageError) -> Option<&io::Error> {
    let mut found = None;
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        found = io.or(found);
        // an io::Error does not count what it wraps among its sources
        next = match io.and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    found
}

/// Whether this process or machine has no file descriptors left: nothing happened.
fn is_exhausted(error: &StorageError) -> bool {
    io_error(error).is_some_and(is_limit)
}

#[cfg(unix)]
fn is_limit(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE]
        .map(|code| Some(code.raw_os_error()))
        .contains(&error.raw_os_error())
}

/// Other systems have no such limit that is met in practice.
#[cfg(not(unix))]
fn is_limit(_error: &io::Error) -> bool {
    false
}

/// A file system without hard links.
#[derive(Debug)]
struct NoHardLinks(io::Error);

impl fmt::Display for NoHardLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a hard link was refused: {}", self.0)
    }
}

impl StdError for NoHardLinks {}

/// What the refusal of a hard link means, to a file of one's own in a folder where a file was just
/// created: file systems without hard links say so in many ways.
pub(crate) fn no_hard_links(error: io::Error) -> io::Error {
    if means_no_hard_links(&error) {
        return io::Error::new(io::ErrorKind::Unsupported, NoHardLinks(error));
    }
    error
}

#[cfg(unix)]
fn means_no_hard_links(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [
        Errno::PERM,
        Errno::NOSYS,
        Errno::OPNOTSUPP,
        Errno::NOTSUP,
        Errno::MLINK,
        Errno::XDEV,
    ]
    .map(|code| Some(code.raw_os_error()))
    .contains(&error.raw_os_error())
}

#[cfg(not(unix))]
fn means_no_hard_links(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

fn lacks_hard_links(error: &StorageError) -> bool {
    let wrapped = io_error(error).and_then(io::Error::get_ref);
    wrapped.is_some_and(|wrapped| wrapped.is::<NoHardLinks>())
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

    #[cfg(unix)]
    fn refused_link(code: rustix::io::Errno) -> StorageError {
        StorageError::Generic {
            store: "test",
            source: Box::new(no_hard_links(code.into())),
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_system_without_hard_links_is_named_however_it_says_so() {
        use rustix::io::Errno;
        for code in [
            Errno::PERM,
            Errno::NOSYS,
            Errno::OPNOTSUPP,
            Errno::MLINK,
            Errno::XDEV,
        ] {
            let failure = refused_link(code);
            assert!(!is_device_failure(&failure), "{code}");
            let failure = explain_write(failure, "a/b");
            assert!(matches!(failure, WriteFailure::Refused(_)), "{code}");
            let error = failure.into_error();
            assert_eq!(error.kind(), &ErrorKind::Unsupported, "{code}");
            assert!(error.to_string().contains("no hard links"), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("ext4")));
        }
        for code in [Errno::ACCESS, Errno::NOSPC, Errno::IO, Errno::ROFS] {
            let error = explain(refused_link(code), "cannot write", "a/b");
            assert!(!error.to_string().contains("hard link"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn without_file_descriptors_nothing_happened_and_the_disk_did_not_fail() {
        use rustix::io::Errno;
        for code in [Errno::MFILE, Errno::NFILE] {
            let failure = StorageError::Generic {
                store: "test",
                source: Box::new(io::Error::from(code)),
            };
            assert!(!is_device_failure(&failure), "{code}");
            let failure = explain_write(failure, "a/b");
            assert!(matches!(failure, WriteFailure::Refused(_)), "{code}");
            let error = failure.into_error();
            assert_eq!(error.kind(), &ErrorKind::Unavailable);
            assert!(error.to_string().contains("too many open files"), "{error}");
        }
        let broken = refused_link(Errno::IO);
        assert!(is_device_failure(&broken));
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
