//! Backups and archives as streams, in constant memory.
//!
//! A backup is three files. The events are zstd NDJSON of whole CloudEvents lines, which plain
//! `zstd -d | jq` reads. The sections, one JSON line each, say in the same order which object and
//! stream the next so many events are of. The manifest has counts, sizes and checksums of both; it
//! is written last, and its existence makes the two a backup.
//!
//! This module knows the files' contents and suggests their names; where they live is up to a
//! provider.

mod decoder;
mod encoder;
mod manifest;
mod section;

pub use decoder::{BackupDecoder, SectionsDecoder};
pub use encoder::BackupEncoder;
pub use manifest::{decode_manifest, encode_manifest};

/// The name of the file of events.
pub const EVENTS_FILE: &str = "events.ndjson.zst";
/// The name of the file of sections.
pub const SECTIONS_FILE: &str = "sections.ndjson.zst";
/// The name of the manifest.
pub const MANIFEST_FILE: &str = "manifest.json";
