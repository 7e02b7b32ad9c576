//! The source of an attempt: which events it copies, in which order, and reading them.
//!
//! | module | responsibility |
//! |---|---|
//! | `segment` | the stretches of streams to copy, and their numbering |
//! | `scan` | reads, checks and transforms them ahead of their use |
//! | `originals` | the originals that a reverse migration restores |
//! | `down` | applies `down` to the events since, and refuses those without one |
//! | `schemas` | the analysis of all events before the first cell is written |
//! | `retired` | the schemas that a restored stream retires |

pub(crate) mod cells;
pub(crate) mod down;
pub(crate) mod originals;
pub(crate) mod retired;
pub(crate) mod scan;
pub(crate) mod schemas;
pub(crate) mod segment;
