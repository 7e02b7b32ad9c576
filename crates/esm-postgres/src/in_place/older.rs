//! Waiting for the transactions that are older than a sweep.

use std::time::Duration;

use esm_core::{Error, Result};
use esm_layout::literal;

use super::run::Running;

/// How often, and how many times, it is checked whether older transactions have ended.
const POLL: Duration = Duration::from_millis(200);
const POLLS: u32 = 50;

/// Whether the transaction `xid` belongs to another database: it cannot write to this one.
const OF_OTHERS: &str = "
    SELECT FROM (SELECT (xid::text::numeric % 4294967296)::text::xid AS short) t
    WHERE EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
                  WHERE l.locktype = 'transactionid' AND l.transactionid = t.short
                      AND l.mode = 'ExclusiveLock' AND l.granted
                      AND a.datname IS DISTINCT FROM current_database())
        OR EXISTS (SELECT FROM pg_prepared_xacts p
                   WHERE p.transaction = t.short AND p.database <> current_database())";

impl Running {
    /// Waits for the transactions that are running now; returns those that do not end.
    ///
    /// # Errors
    /// `Cancelled` if a stop or an undo was asked for; those of the server.
    pub(super) async fn older_transactions(&self) -> Result<Option<String>> {
        // an id of its own is higher than that of every transaction that runs, also of a prepared one
        let now = "SELECT pg_current_xact_id(), clock_timestamp()";
        let rows = self.shared.wire.read(now).await?;
        let Some([Some(transaction), Some(time)]) = rows.first().map(Vec::as_slice) else {
            return Err(Error::corrupt("the server has no snapshot"));
        };
        // those that have an id, prepared ones too, and those that have not written yet
        let older = format!(
            "SELECT (SELECT string_agg('transaction ' || xid::text, ', ')
                     FROM pg_snapshot_xip(pg_current_snapshot()) xid
                     WHERE xid::text::numeric < {transaction} AND NOT EXISTS ({OF_OTHERS})),
                    (SELECT string_agg(format('process %s since %s', pid,
                                to_char(xact_start, 'HH24:MI:SS')), ', ' ORDER BY xact_start)
                     FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()
                         AND backend_type = 'client backend' AND xact_start < {}::timestamptz)",
            literal(time)
        );
        let mut waits_for = None;
        for _ in 0..POLLS {
            self.steering.safe_point(&self.shared).await?;
            let rows = self.shared.wire.read(&older).await?;
            let Some([transactions, processes]) = rows.first().map(Vec::as_slice) else {
                return Err(Error::corrupt("the server has no snapshot"));
            };
            waits_for = processes.clone().or_else(|| transactions.clone());
            self.steering.say(waits_for.clone());
            if waits_for.is_none() {
                return Ok(None);
            }
            self.shared.options.environment.clock.sleep(POLL).await;
        }
        self.steering.say(None);
        Ok(waits_for)
    }
}
