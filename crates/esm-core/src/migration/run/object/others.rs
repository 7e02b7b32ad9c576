//! What others may have done to an attempt: by an error, and by its streams.

use crate::cutover::attempt::Attempt;
use crate::error::{Error, ErrorKind};

/// Whether the streams must be observed again after this error: their state is unknown or has
/// changed.
pub(super) fn must_observe_again(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Conflict { actual: Some(_) }
            | ErrorKind::Closed(_)
            | ErrorKind::Unavailable
            | ErrorKind::Ambiguous
    )
}

/// Whether another holder's undo may have caused this error: it fences the source, then discards
/// the target, while this run may still write to it (R17).
pub(super) fn may_follow_from_a_fence(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Fenced | ErrorKind::Gone | ErrorKind::VerificationFailed
    )
}

/// How others have decided an attempt: then its target may be gone.
pub(super) enum Decided {
    Fenced,
    /// The source was closed to another target.
    Closed,
}

pub(super) async fn decided_by_another(attempt: &Attempt) -> Option<Decided> {
    let sight = attempt.look().await.ok()?;
    if sight.fenced {
        return Some(Decided::Fenced);
    }
    let close = sight.source_tail.close()?;
    (close.target.as_ref() != Some(&attempt.target)).then_some(Decided::Closed)
}
