//! Exit codes: a stable interface, documented in `esm --help` and `docs/cli.md`.

use std::io;
use std::process::ExitCode;

use esm_core::{Error, ErrorKind};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success, or nothing to do.
    Success,
    /// Any failure without a code of its own.
    Failure,
    /// Invalid arguments or invalid input.
    Usage,
    /// Not found.
    NotFound,
    /// Already exists, or changed concurrently.
    Conflict,
    /// A lock is held by another process, or was lost to one.
    Locked,
    /// A verification found a difference.
    Unverified,
    /// The transformation failed on an event.
    Transform,
    /// The storage is unavailable, denies access, or is full.
    Storage,
    /// Stored data is corrupt, or missing although it must be there.
    Corrupt,
    /// Stopped on request; the command can be resumed.
    Interrupted,
}

impl Exit {
    /// The exit code of the process.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Locked => 5,
            Self::Unverified => 6,
            Self::Transform => 7,
            Self::Storage => 8,
            Self::Corrupt => 9,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl From<&ErrorKind> for Exit {
    fn from(kind: &ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid | ErrorKind::Unsupported | ErrorKind::TooLarge => Self::Usage,
            ErrorKind::NotFound | ErrorKind::Deleted => Self::NotFound,
            ErrorKind::AlreadyExists
            | ErrorKind::Conflict { .. }
            | ErrorKind::Closed(_)
            | ErrorKind::PlanOutdated => Self::Conflict,
            ErrorKind::LockHeld(_) | ErrorKind::LockLost | ErrorKind::Fenced => Self::Locked,
            ErrorKind::VerificationFailed => Self::Unverified,
            ErrorKind::TransformFailed => Self::Transform,
            ErrorKind::Unavailable
            | ErrorKind::Ambiguous
            | ErrorKind::PermissionDenied
            | ErrorKind::StorageFull
            | ErrorKind::UnknownStore => Self::Storage,
            // data that must be there: damage, and not something that was never there
            ErrorKind::Corrupt | ErrorKind::Gone => Self::Corrupt,
            ErrorKind::Cancelled => Self::Interrupted,
            _ => Self::Failure,
        }
    }
}

/// The stable name of an error kind in JSON.
pub(crate) fn kind_name(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not_found",
        ErrorKind::AlreadyExists => "already_exists",
        ErrorKind::Conflict { .. } => "conflict",
        ErrorKind::Closed(_) => "closed",
        ErrorKind::Fenced => "fenced",
        ErrorKind::Deleted => "deleted",
        ErrorKind::Gone => "gone",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Ambiguous => "ambiguous",
        ErrorKind::Invalid => "invalid",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::TooLarge => "too_large",
        ErrorKind::PermissionDenied => "permission_denied",
        ErrorKind::StorageFull => "storage_full",
        ErrorKind::LockHeld(_) => "lock_held",
        ErrorKind::LockLost => "lock_lost",
        ErrorKind::UnknownStore => "unknown_store",
        ErrorKind::TransformFailed => "transform_failed",
        ErrorKind::VerificationFailed => "verification_failed",
        ErrorKind::PlanOutdated => "plan_outdated",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::Stuck => "stuck",
        _ => "other",
    }
}

/// Converts an error of the operating system; `what` names the operation.
pub(crate) fn io(what: impl std::fmt::Display, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::PermissionDenied
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorKind::StorageFull
        }
        io::ErrorKind::InvalidData
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    let hint = match error.kind() {
        io::ErrorKind::NotFound => Some("check the path"),
        io::ErrorKind::AlreadyExists => Some("choose another file"),
        io::ErrorKind::IsADirectory => Some("name a file, not a directory"),
        io::ErrorKind::PermissionDenied => Some("check the permissions of the file"),
        _ => None,
    };
    let failed = Error::new(kind, format!("{what}: {error}")).with_source(error);
    match hint {
        Some(hint) => failed.with_hint(hint),
        None => failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_operating_system_keeps_its_kind() {
        let full = io("writing", io::ErrorKind::StorageFull.into());
        assert_eq!(full.kind(), &ErrorKind::StorageFull);
        assert_eq!(Exit::from(full.kind()).code(), 8);
    }

    #[test]
    fn lost_data_is_damage_and_not_something_that_was_never_there() {
        assert_eq!(Exit::from(&ErrorKind::Gone), Exit::Corrupt);
        assert_eq!(Exit::from(&ErrorKind::Corrupt), Exit::Corrupt);
        assert_eq!(Exit::from(&ErrorKind::NotFound), Exit::NotFound);
    }
}
