//! Reading objects along their chains of streams.
//!
//! | file | idea |
//! |---|---|
//! | `reader` | loading an object, and following its chain |
//! | `events` | reading events from a position to the end |
//! | `tail` | following an object's events live |

pub(crate) mod events;
pub(crate) mod reader;
pub(crate) mod tail;
