//! What a lock looks like in storage.

use std::time::Duration;

use bytes::Bytes;
use esm_core::id::{FencingToken, HolderId, LockName, MigrationId};
use esm_core::store::{LockInfo, LockRequest};
use esm_core::{Error, Result};
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
    /// Drawn for each, so that observers see that it changed.
    pub(super) nonce: Uuid,
    #[serde(default)]
    pub(super) released: bool,
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
            broken: false,
        }
    }

    /// What takes the lock away from this acquisition.
    pub(super) fn breaking(&self, nonce: Uuid) -> Self {
        Self {
            nonce,
            broken: true,
            ..self.clone()
        }
    }

    pub(super) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// What others see of it; held if something is left of the lease.
    pub(super) fn info(&self, expires_in: Duration) -> LockInfo {
        LockInfo {
            name: self.name.clone(),
            holder: self.holder.clone(),
            token: self.token,
            migration: self.migration,
            acquired_at: self.acquired_at,
            lease: self.lease(),
            held: !expires_in.is_zero(),
            expires_in,
        }
    }
}

impl Heartbeat {
    pub(super) fn new(nonce: Uuid, released: bool) -> Self {
        Self {
            esm_heartbeat: FORMAT,
            nonce,
            released,
        }
    }
}

pub(super) fn encode<T: Serialize>(it: &T) -> Result<Bytes> {
    let json = serde_json::to_vec(it);
    Ok(json
        .map_err(|e| Error::invalid("lock cannot be written as JSON").with_source(e))?
        .into())
}

pub(super) fn decode_acquisition(bytes: &[u8]) -> Result<Acquisition> {
    decode(bytes, "esm_lock")
}

pub(super) fn decode_heartbeat(bytes: &[u8]) -> Result<Heartbeat> {
    decode(bytes, "esm_heartbeat")
}

fn decode<T: DeserializeOwned>(bytes: &[u8], version: &str) -> Result<T> {
    let unreadable = |e| Error::corrupt("lock cannot be read").with_source(e);
    let json: serde_json::Value = serde_json::from_slice(bytes).map_err(unreadable)?;
    match json.get(version).and_then(serde_json::Value::as_u64) {
        Some(newer) if newer > u64::from(FORMAT) => Err(Error::corrupt(format!(
            "lock has the newer format {newer}; this version reads up to {FORMAT}"
        ))
        .with_hint("update esm")),
        _ => serde_json::from_value(json).map_err(unreadable),
    }
}
