//! A page: the newest versions of a record, one behind the other in one blob.

use bytes::{Bytes, BytesMut};
use esm_cells::{RecordVersion, split_version};
use esm_core::store::{Record, RecordKey};
use esm_core::{Error, Result};

/// Versions of a record without gaps; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    versions: Vec<RecordVersion>,
    bytes: Bytes,
}

impl Page {
    /// # Errors
    /// `Corrupt`: what [`split_version`] does not accept, no version, a gap.
    pub(super) fn decode(bytes: &Bytes, key: &RecordKey) -> Result<Self> {
        let mut versions: Vec<RecordVersion> = Vec::new();
        let mut rest = bytes.clone();
        while versions.is_empty() || !rest.is_empty() {
            let (version, behind) = split_version(&rest, key)?;
            let follows = versions
                .last()
                .is_none_or(|last| version.number == last.number + 1);
            if !follows {
                return Err(Error::corrupt(format!(
                    "version {} of a record does not follow the one before it",
                    version.number
                )));
            }
            versions.push(version);
            rest = behind;
        }
        Ok(Self {
            versions,
            bytes: bytes.clone(),
        })
    }

    /// The page with a version more, which must be the next.
    pub(super) fn with(page: Option<&Self>, version: &Bytes) -> Bytes {
        let mut bytes = BytesMut::new();
        if let Some(page) = page {
            bytes.extend_from_slice(&page.bytes);
        }
        bytes.extend_from_slice(version);
        bytes.freeze()
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The number of the first version in it.
    pub(super) fn first(&self) -> u64 {
        self.versions.first().map_or(0, |version| version.number)
    }

    /// The number of the version that would come next.
    pub(super) fn next(&self) -> u64 {
        self.versions.last().map_or(0, |version| version.number + 1)
    }

    pub(super) fn latest(&self) -> Option<Record> {
        self.versions.last().map(record)
    }

    pub(super) fn version(&self, number: u64) -> Option<&RecordVersion> {
        let at = number.checked_sub(self.first())?;
        self.versions.get(usize::try_from(at).ok()?)
    }
}

pub(super) fn record(version: &RecordVersion) -> Record {
    Record {
        number: version.number,
        body: version.body.clone(),
    }
}

#[cfg(test)]
mod tests {
    use esm_cells::encode_version;
    use esm_core::ErrorKind;
    use uuid::Uuid;

    use super::*;

    fn key() -> RecordKey {
        RecordKey::Document("order/7".parse().unwrap())
    }

    fn version(number: u64) -> Bytes {
        let body = Bytes::from(format!("body\n{number}"));
        encode_version(&key(), number, Uuid::from_u128(number.into()), &body).unwrap()
    }

    #[test]
    fn a_page_grows_and_is_read_back() -> Result<()> {
        let mut page = Page::decode(&Page::with(None, &version(5)), &key())?;
        for number in 6..9 {
            page = Page::decode(&Page::with(Some(&page), &version(number)), &key())?;
        }
        assert_eq!((page.first(), page.next()), (5, 9));
        assert_eq!(page.latest().unwrap().body, "body\n8");
        assert_eq!(page.version(6).unwrap().nonce, Uuid::from_u128(6));
        assert_eq!((page.version(4), page.version(9)), (None, None));
        Ok(())
    }

    #[test]
    fn gaps_strangers_and_noise_are_corrupt() {
        let of = |parts: &[Bytes]| {
            let bytes: Vec<u8> = parts.iter().flatten().copied().collect();
            Page::decode(&bytes.into(), &key()).unwrap_err()
        };
        let index = encode_version(&RecordKey::Index, 1, Uuid::nil(), &Bytes::new()).unwrap();
        for error in [
            of(&[]),
            of(&[version(0), version(2)]),
            of(&[version(0), index]),
            of(&[version(0), Bytes::from_static(b"x")]),
            of(&[version(0), version(1).slice(..20)]),
        ] {
            assert_eq!(error.kind(), &ErrorKind::Corrupt, "{error:?}");
        }
    }
}
