//! Objects: the document that names an object's streams, the chain of Closes that links them, and
//! the stores that they may be in.
//!
//! | file | idea |
//! |---|---|
//! | `documents` | object documents: which stream is active, which came before |
//! | `pages` | which terminated streams a document leaves to a version before it |
//! | `chain` | following Closes to the stream that is active now |
//! | `known_stream` | the least that a stream must have, by its document and the Close before it |
//! | `owner` | which object a stream belongs to |
//! | `translation` | where a position in an older stream is now |
//! | `known_stores` | the stores that streams of a home store may continue in |

pub mod chain;
mod documents;
mod known_stores;
mod known_stream;
pub(crate) mod owner;
mod pages;
mod translation;

pub use crate::store::{EarlierStreams, ObjectDocument, TerminatedStream, TerminationReason};
pub use chain::ChainEnd;
pub use documents::{Documents, VersionedDocument};
pub use known_stores::{KnownStores, StoreLink};
pub use known_stream::{KnownStream, StreamEnd};
pub use translation::Translation;
