//! Where the appends of an object go, and what is stored there.
//!
//! | file | idea |
//! |---|---|
//! | `destination` | the stream and the tail that the next append expects |
//! | `cache` | the routes of the objects used last |
//! | `retired` | events of schemas that the stream's migration retired |

pub(crate) mod cache;
pub(crate) mod destination;
pub(crate) mod retired;
