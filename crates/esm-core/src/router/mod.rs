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
//! [`ChainEnd::translate`]: crate::object::ChainEnd::translate

mod append;
mod client;
pub(crate) mod phases;
mod read;
mod statistics;
mod transformers;

pub use crate::object::Translation;
pub use append::batches::batches;
pub use append::outcome::{AmbiguousAppend, AppendError, Appended, ExpectedRevision};
pub use append::retired::accepted_unchanged;
pub use client::ObjectClient;
pub use phases::known::{DualReads, Mirroring, PhaseOptions};
pub use phases::table::RoutingTable;
pub use read::events::{ReadPosition, RecordedEvent};
pub use read::fold::Folded;
pub use read::reader::{LoadedObject, ObjectReader};
pub use read::tail::TailOptions;
pub use statistics::ClientStatistics;
