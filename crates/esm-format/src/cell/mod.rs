//! Cells: a first line of JSON that describes the cell, then its events as lines.
//!
//! ```text
//! {"esm_cell":1,"cell":{…},"stream":"order-7.aaaa","sources":[[0,2]],"body":{"bytes":…,"stored":…,"compression":"none","crc32":"…"},"crc32":"…"}
//! {"specversion":"1.0","id":"1","type":"OrderPlaced","schemaversion":1,…}
//! {"specversion":"1.0","id":"2","type":"OrderPaid","schemaversion":1,…}
//! ```
//!
//! Both parts have a CRC-32: of the first line up to its own checksum, and of the body as stored,
//! checked before it is decompressed. It finds what happens to a cell by accident, and costs next
//! to nothing. A cryptographic hash would not help against intent here, as who can write a cell
//! can write its checksum; contents are compared by verification, with blake3.

mod body;
mod checksum;
mod decode;
mod encode;
mod first_line;
mod source_runs;

pub use decode::{decode, decode_header, decode_header_of_any, decode_stream};
pub use encode::{encode, encode_within, uncompressed_size};

/// The format that this version writes; it reads this and all before.
pub const FORMAT: u32 = 1;

/// The largest body that is written or read, uncompressed, in bytes.
pub const MAX_BODY_BYTES: u64 = 1 << 30;
