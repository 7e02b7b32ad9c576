//! What a lock looks like in storage.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use esm_core::id::{FencingToken, HolderId, LockName, MigrationId};
use esm_core::store::{HolderProcess, LockInfo, LockRequest};
use esm_core::{Error, Result};
use esm_format::sealed;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const FORMAT: u32 = 1;

/// The object that acquiring creates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Acquisition {
    esm_lock: u32,
    pub(super) name: LockName,
    /// Drawn for this one acquisition, so that its writer knows it again.
    pub(super) nonce: Uuid,
    pub(super) token: FencingToken,
    holder: HolderId,
    migration: Option<MigrationId>,
    acquired_at: Timestamp,
    lease_ms: u64,
    /// Where the holder runs, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<HolderProcess>,
    /// Nobody acquired anything: an operator took the lock away from the holder that is described
    /// here, and leaves it free. Taking the next number does that without touching what the holder
    /// writes, so the two cannot undo each other's writes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) broken: bool,
}

/// The object that its holder overwrites again and again, and nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heartbeat {
    esm_heartbeat: u32,
    /// The lock and the acquisition that it renews; earlier versions did not name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lock: Option<LockName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<FencingToken>,
    /// Drawn for each, so that observers see that it changed.
    pub(super) nonce: Uuid,
    #[serde(default)]
    pub(super) released: bool,
    /// When it was written, by the holder's clock: for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
}

/// The newest number of a lock, as far as it can be read.
#[derive(Debug, Clone)]
pub(super) enum Numbered {
    Acquisition(Acquisition),
    Damaged(Damaged),
}

/// An acquisition that cannot be read. Its number is known from its key.
#[derive(Debug, Clone)]
pub(super) struct Damaged {
    pub(super) error: Arc<Error>,
    /// Identifies the bytes, so that observers see whether they changed.
    pub(super) digest: Uuid,
}

impl Acquisition {
    pub(super) fn new(name: &LockName, token: u64, request: &LockRequest, nonce: Uuid) -> Self {
        Self {
            esm_lock: FORMAT,
            name: name.clone(),
            nonce,
            token: FencingToken(token),
            holder: request.holder.clone(),
            migration: request.migration,
            acquired_at: request.at,
            lease_ms: u64::try_from(request.lease.as_millis()).unwrap_or(u64::MAX),
            process: request.process.clone(),
            broken: false,
        }
    }

    /// What takes the lock away from the acquisition with this description.
    pub(super) fn breaking(info: &LockInfo, nonce: Uuid) -> Self {
        Self {
            esm_lock: FORMAT,
            name: info.name.clone(),
            nonce,
            token: info.token,
            holder: info.holder.clone(),
            migration: info.migration,
            acquired_at: info.acquired_at,
            lease_ms: u64::try_from(info.lease.as_millis()).unwrap_or(u64::MAX),
            process: info.process.clone(),
            broken: true,
        }
    }

    pub(super) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// What others see of it; held if something is left of the lease.
    pub(super) fn info(&self, expires_in: Duration, heartbeat: Option<&Heartbeat>) -> LockInfo {
        LockInfo {
            name: self.name.clone(),
            holder: self.holder.clone(),
            token: self.token,
            migration: self.migration,
            acquired_at: self.acquired_at,
            lease: self.lease(),
            held: !expires_in.is_zero(),
            expires_in,
            renewed_at: match heartbeat {
                None => Some(self.acquired_at),
                Some(heartbeat) => heartbeat.at,
            },
            process: self.process.clone(),
            abandoned: false,
            damage: None,
        }
    }
}

impl Damaged {
    /// What others see of it; held if something is left of the lease.
    pub(super) fn info(
        &self,
        name: &LockName,
        token: u64,
        lease: Duration,
        expires_in: Duration,
    ) -> Result<LockInfo> {
        Ok(LockInfo {
            name: name.clone(),
            holder: HolderId::new("unknown")?,
            token: FencingToken(token),
            migration: None,
            acquired_at: Timestamp::UNIX_EPOCH,
            lease,
            held: !expires_in.is_zero(),
            expires_in,
            renewed_at: None,
            process: None,
            abandoned: false,
            damage: Some(self.error.to_string()),
        })
    }
}

impl Heartbeat {
    pub(super) fn new(
        lock: &LockName,
        token: u64,
        nonce: Uuid,
        released: bool,
        at: Timestamp,
    ) -> Self {
        Self {
            esm_heartbeat: FORMAT,
            lock: Some(lock.clone()),
            token: Some(FencingToken(token)),
            nonce,
            released,
            at: Some(at),
        }
    }

    /// A heartbeat that cannot be read. It is no release, and changes when its bytes do.
    pub(super) fn damaged(bytes: &[u8]) -> Self {
        Self {
            esm_heartbeat: FORMAT,
            lock: None,
            token: None,
            nonce: digest(bytes),
            released: false,
            at: None,
        }
    }

    /// Checks that it renews this acquisition, as far as it says which one.
    fn check(self, lock: &LockName, token: u64) -> Result<Self> {
        if let Some(other) = self.lock.as_ref().filter(|other| *other != lock) {
            return Err(Error::corrupt(format!("it is of lock {other}")));
        }
        if let Some(other) = self.token.filter(|other| other.0 != token) {
            return Err(Error::corrupt(format!("it is of acquisition {}", other.0)));
        }
        Ok(self)
    }
}

/// The lock that an acquisition is of; nothing where it cannot be read.
pub(crate) fn name_of_acquisition(bytes: &Bytes) -> Option<LockName> {
    decode_acquisition(bytes)
        .ok()
        .map(|acquisition| acquisition.name)
}

pub(super) fn encode<T: Serialize>(it: &T) -> Result<Bytes> {
    let json = serde_json::to_vec(it);
    let json = json.map_err(|e| Error::invalid("lock cannot be written as JSON").with_source(e))?;
    Ok(sealed::seal(json).into())
}

/// Identifies bytes that cannot be read.
pub(super) fn digest(bytes: &[u8]) -> Uuid {
    let mut digest = [0; 16];
    digest.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
    Uuid::from_bytes(digest)
}

pub(super) fn decode_acquisition(bytes: &[u8]) -> Result<Acquisition> {
    decode(bytes, "esm_lock")
}

/// Reads the heartbeat of an acquisition.
pub(super) fn decode_heartbeat(bytes: &[u8], lock: &LockName, token: u64) -> Result<Heartbeat> {
    decode(bytes, "esm_heartbeat").and_then(|heartbeat: Heartbeat| heartbeat.check(lock, token))
}

fn decode<T: DeserializeOwned>(bytes: &[u8], version: &str) -> Result<T> {
    let unreadable = |e| Error::corrupt("lock cannot be read").with_source(e);
    sealed::check(bytes)?;
    let json: serde_json::Value = serde_json::from_slice(bytes).map_err(unreadable)?;
    match json.get(version).and_then(serde_json::Value::as_u64) {
        Some(newer) if newer > u64::from(FORMAT) => Err(Error::corrupt(format!(
            "lock has the newer format {newer}; this version reads up to {FORMAT}"
        ))
        .with_hint("update esm")),
        _ => serde_json::from_value(json).map_err(unreadable),
    }
}

#[cfg(test)]
mod tests {
    use esm_core::ErrorKind;

    use super::*;

    /// The bytes with each bit flipped.
    fn flipped(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        (0..bytes.len() * 8).map(move |bit| {
            let mut changed = bytes.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            changed
        })
    }

    #[test]
    fn whatever_bit_of_a_lock_changes_is_noticed_or_changes_nothing() -> Result<()> {
        let json = br#"{"esm_lock":1,"name":"order/7","nonce":"00000000-0000-0000-0000-000000000009","token":3,"holder":"me","migration":null,"acquired_at":"2026-01-02T03:04:05Z","lease_ms":60000}"#;
        // as earlier versions wrote it
        let acquisition = decode_acquisition(json)?;
        let stored = encode(&acquisition)?;
        assert!(stored.starts_with(&json[..json.len() - 1]), "{stored:?}");
        assert_eq!(decode_acquisition(&stored)?, acquisition);
        for changed in flipped(&stored) {
            match decode_acquisition(&changed) {
                Ok(found) => assert_eq!(found, acquisition),
                Err(error) => assert_eq!(error.kind(), &ErrorKind::Corrupt),
            }
        }
        Ok(())
    }

    #[test]
    fn whatever_bit_of_a_heartbeat_changes_is_noticed_or_changes_nothing() -> Result<()> {
        let lock = LockName::new("order/7")?;
        // as earlier versions wrote it
        let json = br#"{"esm_heartbeat":1,"nonce":"00000000-0000-0000-0000-000000000009","released":false}"#;
        let unnamed = decode_heartbeat(json, &lock, 3)?;
        let named = Heartbeat::new(&lock, 3, Uuid::nil(), true, Timestamp::UNIX_EPOCH);
        for heartbeat in [unnamed, named] {
            let stored = encode(&heartbeat)?;
            assert_eq!(decode_heartbeat(&stored, &lock, 3)?, heartbeat);
            for changed in flipped(&stored) {
                match decode_heartbeat(&changed, &lock, 3) {
                    Ok(found) => assert_eq!(found, heartbeat),
                    Err(error) => assert_eq!(error.kind(), &ErrorKind::Corrupt),
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_heartbeat_of_another_acquisition_is_refused() -> Result<()> {
        let (lock, other) = (LockName::new("order/7")?, LockName::new("order/8")?);
        let heartbeat = Heartbeat::new(&lock, 3, Uuid::nil(), true, Timestamp::UNIX_EPOCH);
        let stored = encode(&heartbeat)?;
        for (lock, token, reason) in [
            (&other, 3, "it is of lock order/7"),
            (&lock, 4, "it is of acquisition 3"),
        ] {
            let error = decode_heartbeat(&stored, lock, token).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Corrupt);
            assert!(error.to_string().contains(reason), "{error}");
        }
        Ok(())
    }
}
