//! How far replicas and slots are behind.

use std::time::Duration;

use esm_core::{Error, ErrorKind, Result};
use futures::lock::Mutex;
use serde::Serialize;

use super::shared::Shared;

/// How long an observation counts.
const LOOK: Duration = Duration::from_secs(1);
/// How long the lag may not shrink before giving up.
const PATIENCE: Duration = Duration::from_secs(600);

/// Replicas that replay, and slots that keep the write-ahead log, the furthest behind first.
const BEHIND: &str = "
    SELECT what, bytes::bigint FROM (
        SELECT 'replica ' || coalesce(nullif(application_name, ''), 'process ' || pid) AS what,
               pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) AS bytes
        FROM pg_stat_replication WHERE replay_lsn IS NOT NULL
        UNION ALL
        SELECT 'slot ' || slot_name,
               pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(confirmed_flush_lsn, restart_lsn))
        FROM pg_replication_slots WHERE coalesce(confirmed_flush_lsn, restart_lsn) IS NOT NULL) b
    ORDER BY bytes DESC, what";

/// A replica or a slot, and how much of the write-ahead log it has not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Behind {
    /// Its name, such as `slot debezium`.
    pub what: String,
    /// Bytes of the write-ahead log.
    pub bytes: u64,
}

pub(super) async fn behind(shared: &Shared) -> Result<Vec<Behind>> {
    let rows = shared.wire.read(BEHIND).await?;
    let behind = rows.into_iter().filter_map(|row| match row.as_slice() {
        [Some(what), Some(bytes)] => Some(Behind {
            what: what.clone(),
            bytes: bytes.parse::<i64>().ok()?.max(0).unsigned_abs(),
        }),
        _ => None,
    });
    Ok(behind.collect())
}

/// The largest lag that was seen, shared by all streams of a run.
#[derive(Debug, Default)]
pub(super) struct Lag(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    at: Option<Duration>,
    reason: Option<String>,
    /// The smallest lag above the limit, and since when it is the smallest.
    least: Option<(u64, Duration)>,
}

impl Lag {
    /// Returns what is behind by more than this, for people.
    ///
    /// # Errors
    /// `Unavailable` where it does not catch up for a long time; those of [`check`], and of the server.
    pub(super) async fn exceeds(&self, shared: &Shared, most: u64) -> Result<Option<String>> {
        let mut seen = self.0.lock().await;
        let now = shared.options.environment.clock.monotonic();
        if seen.at.is_some_and(|at| now.saturating_sub(at) < LOOK) {
            return Ok(seen.reason.clone());
        }
        if seen.at.is_none() {
            // what cannot be seen would seem not to be behind
            check(shared).await?;
        }
        let furthest = behind(shared).await?.into_iter().next();
        seen.at = Some(now);
        let Some(lagging) = furthest.filter(|furthest| furthest.bytes > most) else {
            (seen.reason, seen.least) = (None, None);
            return Ok(None);
        };
        let Behind { what, bytes } = lagging;
        let reason = format!("{what} is {bytes} bytes behind, and at most {most} are allowed");
        match seen.least {
            Some((least, since)) if bytes >= least => {
                if now.saturating_sub(since) > PATIENCE {
                    return Err(Error::new(ErrorKind::Unavailable, reason).with_hint(
                        "it does not catch up; `esm set --max-replication-lag` changes the limit",
                    ));
                }
            }
            _ => seen.least = Some((bytes, now)),
        }
        seen.reason = Some(reason.clone());
        Ok(Some(reason))
    }
}

/// Checks that lag can be seen.
///
/// # Errors
/// `PermissionDenied` with the `GRANT` that is missing.
pub(super) async fn check(shared: &Shared) -> Result<()> {
    let query = "SELECT pg_has_role('pg_read_all_stats', 'USAGE'), quote_ident(current_user)";
    let rows = shared.wire.read(query).await?;
    match rows.first().map(Vec::as_slice) {
        Some([Some(sees), Some(user)]) if sees != "t" => {
            let message = "no right to see how far replicas are behind";
            let hint =
                format!("GRANT pg_read_all_stats TO {user}, or do without --max-replication-lag");
            Err(Error::new(ErrorKind::PermissionDenied, message).with_hint(hint))
        }
        _ => Ok(()),
    }
}
