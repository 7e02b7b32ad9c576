//! What a lock's blob says: the newest acquisition.

use std::time::Duration;

use bytes::Bytes;
use esm_core::id::{FencingToken, HolderId, LockName, MigrationId};
use esm_core::store::{HolderProcess, LockInfo, LockRequest};
use esm_core::{Error, Result};
use esm_format::sealed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const FORMAT: u32 = 1;

/// The newest acquisition of a lock. Whether it is held still, the lease alone says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Acquisition {
    esm_lease: u32,
    pub(super) name: LockName,
    /// The lease that the acquisition has, or had.
    pub(super) lease: Uuid,
    pub(super) token: FencingToken,
    holder: HolderId,
    migration: Option<MigrationId>,
    acquired_at: Timestamp,
    lease_ms: u64,
    /// Where the holder runs, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<HolderProcess>,
}

#[derive(Deserialize)]
struct Outline {
    esm_lease: u32,
}

impl Acquisition {
    pub(super) fn new(name: &LockName, lease: Uuid, token: u64, request: &LockRequest) -> Self {
        Self {
            esm_lease: FORMAT,
            name: name.clone(),
            lease,
            token: FencingToken(token),
            holder: request.holder.clone(),
            migration: request.migration,
            acquired_at: request.at,
            lease_ms: u64::try_from(request.lease.as_millis()).unwrap_or(u64::MAX),
            process: request.process.clone(),
        }
    }

    /// What others see of it. Renewing leaves no trace that they could see, so of a held lock the
    /// whole lease may be left.
    pub(super) fn info(&self, held: bool) -> LockInfo {
        let lease = Duration::from_millis(self.lease_ms);
        LockInfo {
            name: self.name.clone(),
            holder: self.holder.clone(),
            token: self.token,
            migration: self.migration,
            acquired_at: self.acquired_at,
            lease,
            held,
            expires_in: if held { lease } else { Duration::ZERO },
            // renewing a lease leaves no time behind
            renewed_at: None,
            process: self.process.clone(),
            abandoned: false,
            damage: None,
        }
    }

    pub(super) fn encode(&self) -> Result<Bytes> {
        let json = serde_json::to_vec(self);
        let json =
            json.map_err(|e| Error::invalid("lock cannot be written as JSON").with_source(e))?;
        Ok(sealed::seal(json).into())
    }

    /// # Errors
    /// `Corrupt`.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let unreadable = |e| Error::corrupt("lock cannot be read").with_source(e);
        sealed::check(bytes)?;
        let Outline { esm_lease } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if esm_lease > FORMAT {
            return Err(Error::corrupt(format!(
                "lock has the newer format {esm_lease}; this version reads up to {FORMAT}"
            ))
            .with_hint("update esm"));
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }
}

/// What others see of a lock whose blob cannot be read. Its token is unknown, too.
pub(super) fn damaged(name: &LockName, error: &Error, held: bool) -> Result<LockInfo> {
    let lease = Duration::from_secs(60);
    Ok(LockInfo {
        name: name.clone(),
        holder: HolderId::new("unknown")?,
        token: FencingToken(0),
        migration: None,
        acquired_at: Timestamp::UNIX_EPOCH,
        lease,
        held,
        expires_in: if held { lease } else { Duration::ZERO },
        renewed_at: None,
        process: None,
        abandoned: false,
        damage: Some(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use esm_core::ErrorKind;

    use super::*;

    #[test]
    fn an_acquisition_is_read_back_and_a_newer_one_refused() -> Result<()> {
        let name = LockName::new("order/7")?;
        let request = LockRequest {
            holder: HolderId::new("somebody")?,
            lease: Duration::from_secs(60),
            migration: None,
            at: "2026-01-02T03:04:05Z".parse().unwrap(),
            process: None,
        };
        let acquisition = Acquisition::new(&name, Uuid::from_u128(7), 3, &request);
        let bytes = acquisition.encode()?;
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            "{\"esm_lease\":1,\"name\":\"order/7\",\
             \"lease\":\"00000000-0000-0000-0000-000000000007\",\"token\":3,\
             \"holder\":\"somebody\",\"migration\":null,\
             \"acquired_at\":\"2026-01-02T03:04:05Z\",\"lease_ms\":60000,\"crc32\":\"19b9708c\"}"
        );
        assert_eq!(Acquisition::decode(&bytes)?, acquisition);
        for wrong in ["{\"esm_lease\":2}", "{\"esm_lease\":1}", "", "x"] {
            let error = Acquisition::decode(wrong.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Corrupt, "{wrong}");
        }
        Ok(())
    }
}
