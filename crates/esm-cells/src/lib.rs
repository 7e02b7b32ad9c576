//! Event streams, records, locks and backups as objects that are created once.
//!
//! What providers share whose storage keeps objects under names, and can create one only if it is
//! absent. A provider brings [`Objects`], which is that storage and knows nothing of esm; here it
//! becomes what esm-core works on. Cells of streams, versions of records and acquisitions of locks
//! are objects with numbers for names. Whatever a write is answered with, the object that stands
//! there decides what became of it ([`Backend::create`]).
//!
//! Nothing here knows a network, a file system or an address. Users of a store depend on a
//! provider, not on this crate. `docs/formats.md` says what is stored under which key.

mod backend;
mod backup;
mod buffered;
mod event_store;
mod key;
mod known;
mod layout;
mod lock;
mod marker;
mod objects;
mod options;
mod probe;
mod records;
mod redact;
mod segment;
mod store;

pub use backend::{Backend, Creation};
pub use buffered::buffered_upload;
pub use key::Key;
pub use layout::Layout;
pub use marker::Marker;
pub use objects::{Objects, Upload, UploadWriter, WriteFailure};
pub use options::OpenOptions;
pub use records::{RecordVersion, encode_version, split_version};
pub use redact::Cause;
pub use store::{LAYOUT, Store};
