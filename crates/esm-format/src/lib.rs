//! The codec of esm: the bytes of everything durable.
//!
//! - [`cloudevent`]: one event as one line of CloudEvents 1.0 JSON. The other formats are made of it.
//! - [`cell`]: one atomic write to a stream: a header and its events, with checksums.
//! - [`backup`]: many events as streams, in constant memory.
//! - [`ndjson`]: files of lines for import and export, plain, gzip or zstd.
//! - [`sealed`]: the checksum of small JSON objects: markers, manifests, locks.
//!
//! Each durable format carries a version; a reader refuses a newer one. `docs/formats.md` describes
//! the bytes. This crate does no I/O of its own: it works on bytes, and on readers and writers of
//! the caller. It is not for keys and paths: those are up to the providers.
//!
//! ```
//! use esm_core::event::{Event, Revision};
//! use esm_core::id::{EventId, EventType, ObjectId};
//! use esm_format::cloudevent::{self, Attributes};
//!
//! # fn main() -> esm_core::Result<()> {
//! let order: ObjectId = "order/7".parse()?;
//! let event = Event::new(EventId::new("1")?, EventType::new("OrderPlaced")?, r#"{"total":7}"#);
//!
//! let mut line = Vec::new();
//! cloudevent::encode(&event, &Attributes::of(&order, Revision(0)), &mut line);
//! let decoded = cloudevent::decode(&line)?;
//! assert_eq!(decoded.into_event_of(&order), event);
//! # Ok(())
//! # }
//! ```

pub mod backup;
pub mod cell;
pub mod cloudevent;
pub mod ndjson;
pub mod sealed;

mod lines;
mod metered;
