//! One event as one line of [CloudEvents 1.0](https://cloudevents.io) JSON.
//!
//! An event keeps what is its own: id, type, schema version, content type, time, payload and other
//! attributes as metadata. What its place says is not stored with it: `source` and `subject` are
//! its object's name and key, `sequence` is its revision. They are given when a line is written
//! ([`Attributes`]) and given back when one is read ([`Decoded`]).
//!
//! A payload survives to the byte. JSON on one line is in `data` as it is, text is there as a JSON
//! string, anything else is in `data_base64`.

mod attribute;
mod decode;
mod encode;
mod payload;

pub use decode::{Decoded, decode};
pub use encode::{Attributes, encode, encoded_len};

pub(crate) use decode::{Own, decode_own};
