//! Whether a backend of the server waits for one of esm's, sampled while `esm` is at work.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use tokio::sync::oneshot;
use tokio_postgres::Client;

/// Who waits for a backend of esm's: the process and the begin of its statement, and the same of esm's.
const BLOCKED: &str = "
    SELECT w.pid, w.query_start::text, e.pid, e.query_start::text
    FROM pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) b JOIN pg_stat_activity e ON e.pid = b
    WHERE w.datname = current_database() AND w.wait_event_type = 'Lock'
        AND e.application_name = 'esm' AND w.application_name <> 'esm'";

/// A statement of a process of the server.
type Statement = (i32, String);

/// What was sampled.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub(super) taken: u64,
    /// Samples in which somebody waited for esm.
    pub(super) blocked: u64,
    /// For whom a waiting statement waited first.
    first: BTreeMap<Statement, Statement>,
}

/// Samples until it is stopped.
#[derive(Debug)]
pub(super) struct Sampler {
    stop: oneshot::Sender<()>,
    samples: tokio::task::JoinHandle<Result<Samples>>,
}

impl Sampler {
    pub(super) fn start(client: Client) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let samples = tokio::spawn(async move {
            let mut samples = Samples::default();
            // a round trip is the pause between two samples
            while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
                let rows = client.query(BLOCKED, &[]).await?;
                samples.taken += 1;
                samples.blocked += u64::from(!rows.is_empty());
                for row in rows {
                    let waits = (row.try_get(0)?, row.try_get(1)?);
                    samples.add(waits, (row.try_get(2)?, row.try_get(3)?))?;
                }
            }
            Ok(samples)
        });
        Self { stop, samples }
    }

    pub(super) async fn stop(self) -> Result<Samples> {
        // one that has failed has gone
        let _ = self.stop.send(());
        self.samples.await?
    }
}

impl Samples {
    /// A statement waits for one of esm's.
    ///
    /// # Errors
    /// If it waited for an earlier one of the same process already.
    fn add(&mut self, waits: Statement, esm: Statement) -> Result<()> {
        let first = self.first.entry(waits).or_insert_with(|| esm.clone());
        ensure!(
            first.0 != esm.0 || *first == esm,
            "a writer was blocked for longer than a statement of esm: {first:?}, then {esm:?}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_two_statements_of_a_process_is_blocked_for_too_long() {
        let statement = |pid, begun: &str| (pid, begun.to_owned());
        let mut samples = Samples::default();
        let waits = statement(1, "12:00");
        assert!(samples.add(waits.clone(), statement(9, "11:59")).is_ok());
        assert!(samples.add(waits.clone(), statement(9, "11:59")).is_ok());
        assert!(samples.add(waits.clone(), statement(8, "12:01")).is_ok());
        assert!(samples.add(waits, statement(9, "12:01")).is_err());
    }
}
