//! What a failed write means: whether it may have taken place.

use esm_cells::WriteFailure;
use esm_core::{Error, ErrorKind};
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::connection::{WriteError, explain};

/// Returns why a write of one statement failed.
///
/// An error of the statement rolls it back, so it certainly did not take place. When the server ends
/// the session or the connection breaks, it may have.
pub(super) fn of_write(failure: WriteError, place: &str) -> WriteFailure {
    match failure {
        WriteError::NotSent(error) => WriteFailure::Refused(error),
        WriteError::Interrupted(error) => WriteFailure::Unknown(error),
        WriteError::Failed(cause) => {
            let reported = cause.as_db_error();
            let is_certain = reported.is_some_and(is_of_the_statement);
            let met = reported.is_some_and(is_of_two_writes);
            let error = with_grant(explain(cause)).context(place);
            match (is_certain, met) {
                (true, true) => WriteFailure::Exists(error),
                (true, false) => WriteFailure::Refused(error),
                (false, _) => WriteFailure::Unknown(error),
            }
        }
    }
}

/// Adds the rights that a store needs to an error about missing ones.
pub(super) fn with_grant(error: Error) -> Error {
    if *error.kind() != ErrorKind::PermissionDenied || error.hint().is_some() {
        return error;
    }
    error.with_hint(
        "GRANT USAGE ON SCHEMA esm; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA \
         esm; creating a store needs CREATE on the database",
    )
}

fn is_of_the_statement(reported: &DbError) -> bool {
    reported.parsed_severity() == Some(Severity::Error)
}

/// Whether two transactions met, of which one is to try again.
fn is_of_two_writes(reported: &DbError) -> bool {
    [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ]
    .contains(reported.code())
}
