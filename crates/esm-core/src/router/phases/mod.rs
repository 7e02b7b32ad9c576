//! The phases that migrations publish and clients act on.
//!
//! | file | idea |
//! |---|---|
//! | `table` | reading and publishing phases in the records |
//! | `known` | the phases that a client knows, polled in the background |

pub(crate) mod known;
pub(crate) mod table;
