//! What applications use: read an object's events and append to it, through any migration.
//!
//! An [`ObjectReader`] loads and reads and never writes. An [`ObjectClient`] also creates objects
//! and appends, and on its way completes the document for a migrator that died between closing a
//! stream and updating it. Both follow the streams: an outdated document, cache or configuration
//! costs a request, nothing else.
//!
//! Reads return and appends expect [`Position`](crate::event::Position)s, which name the stream:
//! after a migration the same number means another place. [`ChainEnd::translate`] returns where an
//! older position is now.
//!
//! During a migration a client can optionally take part in its [phases](ObjectClient::with_phases),
//! which makes cutovers shorter, and transform events of old schemas that outdated code appends
//! ([`ObjectClient::with_transformer`]). [`ClientStatistics`] counts what it did.
//!
//! | to | use |
//! |---|---|
//! | decide on an object's state and append | [`ObjectClient::fold`], [`ObjectClient::append`] |
//! | read events with their positions | [`ObjectReader::read`] |
//! | follow an object live | [`ObjectClient::tail`] |
//!
//! | folder, file | idea |
//! |---|---|
//! | `read/` | loading and reading objects, for readers and clients |
//! | `route/` | where an object's appends go, and what is stored there |
//! | `phases/` | the phases that migrations publish |
//! | `client` | the handle that applications hold |
//! | `append/`, `fold/` | what only a client does |
//! | `statistics`, `transformers` | its counts, and the registered transformations |
//!
//! [`ChainEnd::translate`]: crate::object::ChainEnd::translate

mod append;
mod client;
mod fold;
pub(crate) mod phases;
mod read;
mod route;
mod statistics;
mod transformers;

pub use crate::object::Translation;
pub use append::batches::batches;
pub use append::outcome::{AmbiguousAppend, AppendError, Appended, ExpectedRevision};
pub use client::ObjectClient;
pub use fold::folding::Folded;
pub use phases::known::{DualReads, Mirroring, PhaseOptions};
pub use phases::table::RoutingTable;
pub use read::events::{ReadPosition, RecordedEvent};
pub use read::reader::{LoadedObject, ObjectReader};
pub use read::tail::TailOptions;
pub use route::retired::accepted_unchanged;
pub use statistics::ClientStatistics;
