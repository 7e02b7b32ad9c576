//! What a version of a record looks like in storage: a line that says what it is, then the body.
//!
//! ```text
//! {"esm_record":1,"key":{"document":"order/123"},"number":0,"nonce":"…","bytes":57,"crc32":"…"}
//! {"object":"order/123","active":…}
//! ```

use bytes::Bytes;
use esm_core::id::{MigrationId, ObjectId};
use esm_core::store::RecordKey;
use esm_core::{Error, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const FORMAT: u32 = 1;
/// How every first line ends, of this format and of later ones.
const CHECKSUM: (&str, &str) = (",\"crc32\":\"", "\"}\n");
const CHECKSUM_DIGITS: usize = 8;

/// What a version says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Envelope {
    esm_record: u32,
    pub(super) key: StoredKey,
    pub(super) number: u64,
    /// Drawn for this one put, so that its writer knows it again.
    pub(super) nonce: Uuid,
    bytes: u64,
}

/// A record's key in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoredKey {
    Document(ObjectId),
    Journal(MigrationId),
    Routing(ObjectId),
    Index,
    Control(MigrationId),
    Progress(MigrationId),
    KnownStores,
}

impl StoredKey {
    pub(super) fn of(key: &RecordKey) -> Result<Self> {
        Ok(match key {
            RecordKey::Document(object) => Self::Document(object.clone()),
            RecordKey::Journal(migration) => Self::Journal(*migration),
            RecordKey::Routing(object) => Self::Routing(object.clone()),
            RecordKey::Index => Self::Index,
            RecordKey::Control(migration) => Self::Control(*migration),
            RecordKey::Progress(migration) => Self::Progress(*migration),
            RecordKey::KnownStores => Self::KnownStores,
            other => {
                return Err(Error::unsupported(format!(
                    "this version of the object store provider has no form for the {other}"
                )));
            }
        })
    }
}

impl From<StoredKey> for RecordKey {
    fn from(key: StoredKey) -> Self {
        match key {
            StoredKey::Document(object) => Self::Document(object),
            StoredKey::Journal(migration) => Self::Journal(migration),
            StoredKey::Routing(object) => Self::Routing(object),
            StoredKey::Index => Self::Index,
            StoredKey::Control(migration) => Self::Control(migration),
            StoredKey::Progress(migration) => Self::Progress(migration),
            StoredKey::KnownStores => Self::KnownStores,
        }
    }
}

#[derive(Deserialize)]
struct Version {
    esm_record: u32,
}

/// Writes a version.
///
/// # Errors
/// `Unsupported` for a kind of record that this version does not know.
pub fn encode(key: &RecordKey, number: u64, nonce: Uuid, body: &Bytes) -> Result<Bytes> {
    let envelope = Envelope {
        esm_record: FORMAT,
        key: StoredKey::of(key)?,
        number,
        nonce,
        bytes: body.len() as u64,
    };
    let mut out = serde_json::to_vec(&envelope)
        .map_err(|e| Error::invalid("record cannot be written as JSON").with_source(e))?;
    // the closing brace comes back behind the checksum
    out.pop();
    let checksum = checksum(&out, body);
    out.extend_from_slice(CHECKSUM.0.as_bytes());
    out.extend_from_slice(checksum.as_bytes());
    out.extend_from_slice(CHECKSUM.1.as_bytes());
    out.extend_from_slice(body);
    Ok(out.into())
}

/// One of several versions in one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordVersion {
    /// Its number.
    pub number: u64,
    /// Random id of the put that wrote it.
    pub nonce: Uuid,
    /// The body.
    pub body: Bytes,
}

/// Reads the version that an object begins with, which must be one of this record; returns it with
/// the bytes behind it.
///
/// # Errors
/// `Corrupt`: no record or that of another key, truncated, a wrong checksum, a newer format.
pub fn split_first(bytes: &Bytes, key: &RecordKey) -> Result<(RecordVersion, Bytes)> {
    let (envelope, body, rest) = decode_first(bytes)?;
    if envelope.key != StoredKey::of(key)? {
        return Err(Error::corrupt(format!(
            "{key} says that it is another record"
        )));
    }
    let version = RecordVersion {
        number: envelope.number,
        nonce: envelope.nonce,
        body,
    };
    Ok((version, rest))
}

/// The record that an object is a version of; nothing where it cannot be read.
pub(crate) fn key_of_version(bytes: &Bytes) -> Option<RecordKey> {
    let (envelope, _, _) = decode_first(bytes).ok()?;
    Some(envelope.key.into())
}

/// Reads the version that an object consists of.
///
/// # Errors
/// `Corrupt`: no record, truncated, a wrong checksum, more than one version, a newer format.
pub(super) fn decode(bytes: &Bytes) -> Result<(Envelope, Bytes)> {
    match decode_first(bytes)? {
        (envelope, body, rest) if rest.is_empty() => Ok((envelope, body)),
        _ => Err(Error::corrupt("record is followed by something else")),
    }
}

/// Reads the version that an object begins with; answers also what follows.
pub(super) fn decode_first(bytes: &Bytes) -> Result<(Envelope, Bytes, Bytes)> {
    let truncated = || Error::corrupt("record is truncated");
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or_else(truncated)?;
    let line = &bytes[..end];
    let unreadable = |e: serde_json::Error| Error::corrupt("record cannot be read").with_source(e);
    let version: Version = serde_json::from_slice(line).map_err(unreadable)?;
    if version.esm_record > FORMAT {
        return Err(Error::corrupt(format!(
            "record has the newer format {}; this version reads up to {FORMAT}",
            version.esm_record
        ))
        .with_hint("update esm"));
    }
    let envelope: Envelope = serde_json::from_slice(line).map_err(unreadable)?;
    let mut body = bytes.slice(end + 1..);
    if (body.len() as u64) < envelope.bytes {
        return Err(truncated());
    }
    // it is no longer than what is there
    let rest = body.split_off(envelope.bytes as usize);
    let tail = CHECKSUM.0.len() + CHECKSUM_DIGITS + CHECKSUM.1.len();
    let stated = (end + 1).checked_sub(tail).and_then(|covered| {
        let digits = bytes[covered..=end]
            .strip_prefix(CHECKSUM.0.as_bytes())?
            .strip_suffix(CHECKSUM.1.as_bytes())?;
        Some((&bytes[..covered], digits))
    });
    match stated {
        Some((covered, digits)) if checksum(covered, &body).as_bytes() == digits => {
            Ok((envelope, body, rest))
        }
        _ => Err(Error::corrupt("record has a wrong checksum")),
    }
}

fn checksum(line: &[u8], body: &[u8]) -> String {
    let mut crc = crc32fast::Hasher::new();
    crc.update(line);
    crc.update(body);
    format!("{:08x}", crc.finalize())
}

#[cfg(test)]
mod tests {
    use esm_core::ErrorKind;
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Bytes {
        let key = RecordKey::Document("order/7".parse().unwrap());
        encode(&key, 3, Uuid::from_u128(9), &Bytes::from_static(b"a\nb")).unwrap()
    }

    #[test]
    fn a_version_is_read_back_to_the_byte() {
        let (envelope, body) = decode(&sample()).unwrap();
        assert_eq!((envelope.number, envelope.nonce), (3, Uuid::from_u128(9)));
        assert_eq!(body, Bytes::from_static(b"a\nb"));
        assert_eq!(
            std::str::from_utf8(&sample()).unwrap(),
            "{\"esm_record\":1,\"key\":{\"document\":\"order/7\"},\"number\":3,\
             \"nonce\":\"00000000-0000-0000-0000-000000000009\",\"bytes\":3,\
             \"crc32\":\"bcadcd49\"}\na\nb"
        );
    }

    #[test]
    fn a_newer_format_is_named() {
        let newer = Bytes::from_static(b"{\"esm_record\":7,\"what\":\"ever\"}\n");
        let error = decode(&newer).unwrap_err();
        assert!(error.to_string().contains("newer format 7"), "{error}");
    }

    proptest! {
        #[test]
        fn whatever_changed_is_corrupt_and_never_panics(at in any::<prop::sample::Index>(), bit in 0..8) {
            let mut bytes = sample().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            let error = decode(&bytes.into()).unwrap_err();
            prop_assert_eq!(error.kind(), &ErrorKind::Corrupt);
        }

        #[test]
        fn any_beginning_is_corrupt(at in any::<prop::sample::Index>()) {
            let bytes = sample();
            prop_assert!(decode(&bytes.slice(..at.index(bytes.len()))).is_err());
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&noise.into()).is_err());
        }
    }
}
