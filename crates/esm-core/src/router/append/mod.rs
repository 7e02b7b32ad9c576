//! append

pub(crate) mod appending;
pub(crate) mod batches;
pub(crate) mod counted;
pub(crate) mod creating;
pub(crate) mod mirror;
pub(crate) mod outcome;
pub(crate) mod retired;
pub(crate) mod send;
