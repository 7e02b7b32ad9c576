//! A record of an input.

use std::fmt;

use esm_core::{Error, ErrorKind};

/// What the number of a record counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// The line that it begins on.
    Line,
    /// The elements of the input's arrays.
    Element,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "line",
            Self::Element => "element",
        })
    }
}

/// A record of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Its number, from 1 on.
    pub(crate) number: u64,
    /// Its JSON.
    pub(crate) json: &'a [u8],
}

/// The error of a record over the limit.
pub(super) fn too_long(limit: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("the record is longer than {limit} bytes, or has no end"),
    )
    .with_hint("raise the limit with --max-event-size, for every command on this store")
}
