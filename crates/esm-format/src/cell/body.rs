//! The body of a cell: bytes, compressed where that makes them fewer.

use std::borrow::Cow;

use esm_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::checksum::crc32;

/// Smaller bodies are not worth a try.
const MIN_COMPRESSED: usize = 128;
/// At the sizes of cells, higher levels up to 3 are no smaller, and those above cost several times
/// the time for a few percent.
const LEVEL: i32 = 1;

/// How a body is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Compression {
    None,
    Zstd,
}

/// What the first line says of the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BodyInfo {
    /// Its size, uncompressed, in bytes.
    pub(super) bytes: u64,
    /// Its size as stored, in bytes.
    pub(super) stored: u64,
    compression: Compression,
    /// Of the bytes as stored.
    crc32: String,
}

/// A body in the form in which it is stored.
pub(super) fn pack(body: &[u8]) -> Result<(BodyInfo, Cow<'_, [u8]>)> {
    let compressed = match body.len() {
        ..MIN_COMPRESSED => None,
        _ => Some(zstd::bulk::compress(body, LEVEL).map_err(|e| {
            Error::new(ErrorKind::Unavailable, "cell cannot be compressed").with_source(e)
        })?),
    };
    let (compression, stored) = match compressed {
        Some(compressed) if compressed.len() < body.len() => {
            (Compression::Zstd, Cow::Owned(compressed))
        }
        _ => (Compression::None, Cow::Borrowed(body)),
    };
    let info = BodyInfo {
        bytes: body.len() as u64,
        stored: stored.len() as u64,
        compression,
        crc32: crc32(&stored),
    };
    Ok((info, stored))
}

impl BodyInfo {
    /// The body from its stored form.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn unpack<'a>(&self, stored: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        let found = stored.len() as u64;
        if found < self.stored {
            return Err(Error::corrupt(format!(
                "cell is truncated: its body has {found} bytes instead of {}",
                self.stored
            )));
        }
        if found > self.stored {
            return Err(Error::corrupt(format!(
                "cell has bytes behind its end: {}",
                found - self.stored
            )));
        }
        if crc32(stored) != self.crc32 {
            return Err(Error::corrupt("cell's body has a wrong checksum"));
        }
        let body = match self.compression {
            Compression::None => Cow::Borrowed(stored),
            Compression::Zstd => Cow::Owned(self.decompress(stored)?),
        };
        if body.len() as u64 != self.bytes {
            return Err(Error::corrupt(format!(
                "cell's body has {} bytes instead of {}",
                body.len(),
                self.bytes
            )));
        }
        Ok(body)
    }

    /// Never allocates more than the first line says, and that only if zstd's own header agrees.
    fn decompress(&self, stored: &[u8]) -> Result<Vec<u8>> {
        let broken = || Error::corrupt("cell's body cannot be decompressed");
        let size = zstd::zstd_safe::get_frame_content_size(stored).map_err(|_| broken())?;
        if size != Some(self.bytes) {
            return Err(broken());
        }
        let capacity = usize::try_from(self.bytes).map_err(|_| broken())?;
        zstd::bulk::decompress(stored, capacity).map_err(|e| broken().with_source(e))
    }
}
