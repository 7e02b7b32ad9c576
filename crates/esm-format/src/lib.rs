//! The one codec of esm: everything durable is read and written here.
//!
//! - [`cloudevent`]: one event as one line of CloudEvents 1.0 JSON. The other formats are made of it.
//! - [`cell`]: one atomic write to a stream: a header and its events, with checksums.
//! - [`backup`]: many events as streams, in constant memory.
//! - [`ndjson`]: files of lines for import and export, plain, gzip or zstd.
//!
//! Each durable format carries a version; a reader refuses a newer one. `docs/formats.md` describes
//! the bytes. This crate does no I/O of its own: it works on bytes and on readers and writers that
//! it is given, and knows neither paths nor stores.

pub mod backup;
pub mod cell;
pub mod cloudevent;
pub mod ndjson;

mod lines;
mod metered;
