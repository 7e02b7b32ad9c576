//! Creating objects and appending to them, through any migration.
//!
//! | file | idea |
//! |---|---|
//! | `appending` | an append from the first attempt to the last |
//! | `behind` | where an append goes that has met a Close |
//! | `creating` | the document of a new object |
//! | `send` | one cell, until its outcome is known |
//! | `mirror` | writing an acknowledged cell to the target too |
//! | `outcome` | what the caller expects and gets |
//! | `batches` | splitting many events into cells |

pub(crate) mod appending;
pub(crate) mod batches;
mod behind;
pub(crate) mod creating;
pub(crate) mod mirror;
pub(crate) mod outcome;
pub(crate) mod send;
