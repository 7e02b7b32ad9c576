//! Loading an object as a state, from its stream or from the target of a running migration.
//!
//! | file | idea |
//! |---|---|
//! | `folding` | applying all events to a state |
//! | `dual_read` | reading the target in the source's place |

pub(crate) mod dual_read;
pub(crate) mod folding;
