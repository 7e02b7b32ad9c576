//! The errors of a write that comes too late.

use std::fmt::Debug;

use esm_core::event::Revision;
use esm_core::store::Close;
use esm_core::{ErrorKind, Result};

use crate::conformance::fixtures::describe;
use crate::conformance::verdict::{ensure, ensure_eq};
use crate::conformance::{Failure, Verdict};

/// Requires `Closed`, with this Close.
pub(super) fn ensure_closed<T: Debug>(answer: Result<T>, by: &Close, what: &str) -> Verdict {
    match answer {
        Err(error) => match error.kind() {
            ErrorKind::Closed(found) => {
                ensure_eq!(**found, *by, "the Close that {what} gets");
                Ok(())
            }
            kind => Err(Failure::new(format!(
                "{what}: found {kind:?}, wanted Closed"
            ))),
        },
        Ok(tail) => Err(Failure::new(format!("{what} succeeded: {tail:?}"))),
    }
}

/// Requires `Conflict`, with the actual number of events if it has one: a store that does not know
/// the number names none.
pub(super) fn ensure_conflict<T>(answer: &Result<T>, events: Revision, what: &str) -> Verdict {
    let found = answer.as_ref().err().map(|error| error.kind());
    let Some(ErrorKind::Conflict { actual }) = found else {
        let found = describe(answer);
        return Err(Failure::new(format!(
            "{what}: found {found}, wanted Conflict"
        )));
    };
    ensure!(
        actual.is_none_or(|actual| actual == events.0),
        "{what} gets a wrong number of events: found {actual:?}, wanted {events}"
    );
    Ok(())
}
