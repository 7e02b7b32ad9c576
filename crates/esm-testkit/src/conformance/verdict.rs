//! The verdict of a case.

use std::fmt;

/// The verdict of a case: success, or a failure.
///
/// ```
/// use esm_testkit::conformance::Verdict;
///
/// fn a_case_of_your_own(name: &str) -> Verdict {
///     esm_core::id::StreamId::new(name)?; // an error is a failure
///     Ok(())
/// }
/// assert!(a_case_of_your_own("orders").is_ok());
/// assert!(a_case_of_your_own("").is_err());
/// ```
pub type Verdict = Result<(), Failure>;

/// The promise that a provider broke, for people.
///
/// ```
/// use esm_testkit::conformance::Failure;
///
/// let failure = Failure::from(esm_core::Error::invalid("an odd name"));
/// assert!(failure.to_string().contains("an odd name"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<esm_core::Error> for Failure {
    fn from(error: esm_core::Error) -> Self {
        Self(format!("unexpected error: {error:?}"))
    }
}

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Failure::new(format!($($message)+)));
        }
    };
}

macro_rules! ensure_eq {
    ($left:expr, $right:expr, $($message:tt)+) => {
        match (&$left, &$right) {
            (left, right) => {
                if left != right {
                    let message = format!($($message)+);
                    return Err($crate::conformance::Failure::new(format!(
                        "{message}: found {left:?}, wanted {right:?}"
                    )));
                }
            }
        }
    };
}

/// Requires this kind of error; anything else is a failure.
macro_rules! ensure_err {
    ($result:expr, $kind:pat, $($message:tt)+) => {
        match &$result {
            Err(error) if matches!(error.kind(), $kind) => {}
            other => {
                let message = format!($($message)+);
                return Err($crate::conformance::Failure::new(format!(
                    "{message}: found {other:?}, wanted {}",
                    stringify!($kind)
                )));
            }
        }
    };
}

pub(crate) use {ensure, ensure_eq, ensure_err};
