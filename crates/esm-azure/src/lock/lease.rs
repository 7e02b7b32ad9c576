//! Leases as the service gives them.

use std::time::Duration;

use azure_core::http::Etag;
use azure_storage_blob::models::{
    BlobClientAcquireLeaseOptions, BlobClientAcquireLeaseResultHeaders as _,
    BlobClientBreakLeaseOptions,
};
use esm_cells::Key;
use esm_core::{Error, Result};
use uuid::Uuid;

use crate::container::Container;
use crate::failure::Failure;

/// The leases that the service grants: 15 to 60 seconds, or without end.
const SHORTEST: Duration = Duration::from_secs(15);
const LONGEST: Duration = Duration::from_secs(60);
const WITHOUT_END: i32 = -1;

/// Seconds of a lease, as the service counts them; [`Duration::MAX`] is one without end.
///
/// # Errors
/// `Invalid` for what the service does not grant.
pub(super) fn seconds(lease: Duration) -> Result<i32> {
    if lease == Duration::MAX {
        return Ok(WITHOUT_END);
    }
    if !(SHORTEST..=LONGEST).contains(&lease) {
        return Err(Error::invalid(format!(
            "lease is not within 15 to 60 seconds: {:.1} s",
            lease.as_secs_f64()
        ))
        .with_hint("Azure grants leases of 15 to 60 seconds, or without end"));
    }
    // never shorter than its holder believes
    let seconds = lease.as_secs() + u64::from(lease.subsec_nanos() > 0);
    Ok(i32::try_from(seconds.min(LONGEST.as_secs())).unwrap_or(WITHOUT_END))
}

/// What came of asking for a lease.
#[derive(Debug)]
pub(super) enum Leased {
    /// Granted; the blob is in this state.
    Granted(Option<Etag>),
    /// Another has it.
    Held,
    /// There is no such blob.
    NoBlob,
}

/// What became of a lease that was thought to be held.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    No,
}

impl Container {
    /// Asks for a lease. The id is the caller's own, so asking again with it is the same request.
    pub(super) async fn acquire(
        &self,
        key: &Key,
        id: Uuid,
        seconds: i32,
    ) -> Result<Leased, Failure> {
        let blob = self.blob(key);
        let asked = self.repeated(0, || {
            let options = BlobClientAcquireLeaseOptions {
                proposed_lease_id: Some(id.to_string()),
                ..BlobClientAcquireLeaseOptions::default()
            };
            blob.acquire_lease(seconds, Some(options))
        });
        match asked.await {
            Ok(answer) => Ok(Leased::Granted(answer.etag().ok().flatten())),
            Err(failure) if failure.is_missing_blob() => Ok(Leased::NoBlob),
            Err(failure) if failure.is_conflict() => Ok(Leased::Held),
            Err(failure) => Err(failure),
        }
    }

    /// Renews a lease, once: who renews asks again soon anyway, and must not wait longer than the
    /// lease lasts.
    pub(super) async fn renew(
        &self,
        key: &Key,
        id: Uuid,
        patience: Duration,
    ) -> Result<Kept, Failure> {
        let blob = self.blob(key);
        let renewal = blob.renew_lease(id.to_string(), None);
        kept(self.within(patience, renewal).await.map(|_| ()))
    }

    /// Gives a lease back; one that is not held any more is left alone.
    pub(super) async fn release(&self, key: &Key, id: Uuid) -> Result<Kept, Failure> {
        let blob = self.blob(key);
        let released = self.repeated(0, || blob.release_lease(id.to_string(), None));
        kept(released.await.map(|_| ()))
    }

    /// Takes the lease from whoever has it, if the blob is still in this state.
    pub(super) async fn break_at(&self, key: &Key, etag: Option<Etag>) -> Result<Kept, Failure> {
        let blob = self.blob(key);
        let broken = self.repeated(0, || {
            let options = BlobClientBreakLeaseOptions {
                break_period: Some(0),
                if_match: etag.clone(),
                ..BlobClientBreakLeaseOptions::default()
            };
            blob.break_lease(Some(options))
        });
        kept(broken.await.map(|_| ()))
    }
}

/// Any conflict means that the lease is another's, broken or gone.
fn kept(answer: Result<(), Failure>) -> Result<Kept, Failure> {
    match answer {
        Ok(()) => Ok(Kept::Yes),
        Err(failure) if failure.is_conflict() || failure.is_missing_blob() => Ok(Kept::No),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use esm_core::ErrorKind;

    use super::*;

    #[test]
    fn only_leases_that_the_service_grants_are_asked_for() -> Result<()> {
        assert_eq!(seconds(Duration::from_secs(15))?, 15);
        assert_eq!(seconds(Duration::from_millis(15_001))?, 16);
        assert_eq!(seconds(Duration::from_secs(60))?, 60);
        assert_eq!(seconds(Duration::MAX)?, -1);
        for wrong in [0, 14_999, 60_001, 3_600_000] {
            let error = seconds(Duration::from_millis(wrong)).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Invalid, "{wrong} ms");
        }
        Ok(())
    }
}
