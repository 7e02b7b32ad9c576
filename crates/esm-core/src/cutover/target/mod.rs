//! The target of an attempt: writing its cells and reading them back.
//!
//! | module | responsibility |
//! |---|---|
//! | `writer` | collects events into cells and appends them at the exact tail |
//! | `reader` | reads the events back, for the comparison |

pub(crate) mod reader;
pub(crate) mod writer;
