//! The verification: the comparison of both streams, and the user's own checks.

pub(crate) mod checks;
pub(crate) mod compare;
