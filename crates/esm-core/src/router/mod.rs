//! What applications use: read an object's events and append to it, through any migration.
//!
//! An [`ObjectReader`] loads and reads and never writes. An [`ObjectClient`] also creates objects
//! and appends, and on its way helps a migrator that died between closing a stream and saying so in
//! the object's document. Both go where the streams say: a document, a cache or a configuration
//! that is out of date costs a request, nothing else.
//!
//! Reads and appends speak of [`Position`](crate::event::Position)s, which name the stream: after a
//! migration the same number means another place. [`ChainEnd::translate`] tells where an older
//! position lies now.
//!
//! [`ChainEnd::translate`]: crate::chain::ChainEnd::translate

mod append;
mod batches;
mod cache;
mod client;
mod events;
mod reader;
mod route;
mod send;
mod translation;

pub use append::{AmbiguousAppend, AppendError, Appended, ExpectedRevision};
pub use batches::batches;
pub use client::ObjectClient;
pub use events::{ReadPosition, RecordedEvent};
pub use reader::{LoadedObject, ObjectReader};
pub use translation::Translation;
