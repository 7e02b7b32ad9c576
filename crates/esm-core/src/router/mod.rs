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
//! While a migration is on, a client can do more than it must: take part in its
//! [phases](ObjectClient::with_phases), which makes cutovers shorter, and transform what code
//! appends that knows only the old schemas ([`ObjectClient::with_transformer`]). What it has done is
//! [counted](ClientStatistics).
//!
//! | to | use |
//! |---|---|
//! | decide on an object's state and append | [`ObjectClient::fold`], [`ObjectClient::append`] |
//! | read events with their positions | [`ObjectReader::read`] |
//! | follow an object live | [`ObjectClient::tail`] |
//!
//! [`ChainEnd::translate`]: crate::chain::ChainEnd::translate

mod append;
mod appending;
mod batches;
mod cache;
mod client;
mod counted;
mod creating;
mod dual_read;
mod events;
mod fold;
mod mirror;
mod phases;
mod reader;
mod retired;
mod route;
mod send;
mod statistics;
mod tail;
mod transformers;
mod translation;

pub use append::{AmbiguousAppend, AppendError, Appended, ExpectedRevision};
pub use batches::batches;
pub use client::ObjectClient;
pub use events::{ReadPosition, RecordedEvent};
pub use fold::Folded;
pub use phases::{DualReads, Mirroring, PhaseOptions};
pub use reader::{LoadedObject, ObjectReader};
pub use retired::accepted_unchanged;
pub use statistics::ClientStatistics;
pub use tail::TailOptions;
pub use translation::Translation;
