//! Running a migration in place: its passes over all streams, and its end.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use esm_core::id::MigrationId;
use esm_core::protocol::control::Undo;
use esm_core::protocol::plan::{PlannedMigration, Scope};
use esm_core::store::OnRetired;
use esm_core::transform::{EventTransformer, Mapper};
use esm_core::{ErrorKind, Result};
use esm_layout::literal;
use serde::Serialize;
use tokio::sync::OnceCell;

use super::claim::Claim;
use super::migration::{RewriteStatus, Schemas};
use super::refuse::Refusal;
use super::selected::{Pass, Selected, Walk};
use super::shared::Shared;
use super::steering::Steering;
use super::swap::Batch;

/// How often commands are read.
const POLL: Duration = Duration::from_secs(1);
/// Polls after which a process says that it runs a migration.
const SIGN_OF_LIFE: u32 = 3;

/// How far the sweeps of what old code wrote meanwhile are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Settled {
    /// Number of events of old code that were rewritten.
    pub swept: u64,
    /// Whether two sweeps in a row found nothing, and all transactions that were older than the
    /// first have ended in between.
    pub is_done: bool,
    /// Transactions that are older than the last sweep and have not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
}

/// A migration that this process runs. Dropping it stops the migration, as a crash would.
pub struct Running {
    pub(super) shared: Arc<Shared>,
    pub(super) claim: Claim,
    pub(super) scope: Scope,
    /// Whether old code is refused once its history is rewritten.
    refuses: bool,
    pub(super) schemas: Mutex<Schemas>,
    /// Held while schemas are noted.
    pub(super) noting: tokio::sync::Mutex<()>,
    /// Whether it was checked that rows can be removed.
    pub(super) removable: OnceCell<()>,
    pub(super) mapper: Mapper,
    pub(super) batch: Batch,
    pub(super) read: AtomicU64,
    pub(super) steering: Steering,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("claim", &self.claim)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Running {
    pub(super) fn new(
        shared: Arc<Shared>,
        claim: Claim,
        planned: &PlannedMigration,
        schemas: Schemas,
        transformer: Arc<dyn EventTransformer>,
    ) -> Self {
        Self {
            steering: Steering::new(&shared, &claim, planned.settings()),
            shared,
            claim,
            scope: planned.scope.clone(),
            refuses: planned.on_retired == Some(OnRetired::Refuse),
            schemas: Mutex::new(schemas),
            noting: tokio::sync::Mutex::default(),
            removable: OnceCell::new(),
            mapper: Mapper::new(transformer).checking_determinism(),
            batch: Batch::default(),
            read: AtomicU64::new(0),
        }
    }

    /// The same for an undo.
    pub(super) fn of_undo(self) -> Self {
        Self {
            steering: self.steering.of_undo(),
            ..self
        }
    }

    /// Returns the migration.
    pub fn migration(&self) -> MigrationId {
        self.claim.migration
    }

    /// Transforms every event of every stream that this migration has not written yet.
    ///
    /// # Errors
    /// `TransformFailed` for an event that fails; `LockLost` if another process continues the
    /// migration; `VerificationFailed` where the server does not store what was meant; `Unavailable`
    /// where rows stay locked; `Cancelled`. What is rewritten stays, and the migration can be
    /// resumed or rolled back.
    pub async fn rewrite(&self) -> Result<Pass> {
        self.steered(self.pass(unwritten(false))).await
    }

    /// Returns the undo that a command asked for: the run ended as `Cancelled`.
    pub fn undo_asked(&self) -> Option<Undo> {
        self.steering.undo()
    }

    /// Repeats passes for what old code writes meanwhile: until two find nothing, at most this many.
    /// All transactions that are older than the first of these two have ended in between.
    ///
    /// Where old code is to be refused, it is from here on: first a trigger is created.
    ///
    /// # Errors
    /// As [`rewrite`](Self::rewrite); `Unavailable` where other transactions do not let go of the
    /// table.
    pub async fn settle(&self, most: u32) -> Result<Settled> {
        self.steered(self.settle_in(most)).await
    }

    async fn settle_in(&self, most: u32) -> Result<Settled> {
        let settled = self.sweep(most).await?;
        // what was asked for since the last stream is not left to another process
        self.steering.safe_point(&self.shared).await?;
        Ok(settled)
    }

    async fn sweep(&self, most: u32) -> Result<Settled> {
        let mut settled = Settled::default();
        let mut found_nothing = false;
        let mut refused = BTreeSet::new();
        for _ in 0..most {
            let retired = self.schemas().retired;
            if self.refuses && refused != retired {
                let refusal = self.refusal();
                refusal
                    .ensure(&self.claim, &retired, &self.steering)
                    .await?;
                refused = retired;
            }
            let pass = self.pass(unwritten(true)).await?;
            settled.swept += pass.rewritten;
            if pass.rewritten > 0 {
                found_nothing = false;
                continue;
            }
            if found_nothing {
                settled.is_done = true;
                return Ok(settled);
            }
            settled.waits_for = self.older_transactions().await?;
            if settled.waits_for.is_some() {
                return Ok(settled);
            }
            found_nothing = true;
        }
        Ok(settled)
    }

    fn refusal(&self) -> Refusal<'_> {
        Refusal {
            shared: &self.shared,
            migration: self.claim.migration,
        }
    }

    /// Ends the migration: old code may still write only if `is_settled` is `false`, and then it is
    /// to be ended later. The end removes the trigger that refuses old code.
    ///
    /// # Errors
    /// `LockLost`; `Unavailable` where other transactions do not let go of the table; those of the
    /// server.
    pub async fn end(self, is_settled: bool) -> Result<RewriteStatus> {
        let status = if is_settled {
            RewriteStatus::Finished
        } else {
            RewriteStatus::Rewritten
        };
        self.record(status).await?;
        Ok(status)
    }

    pub(super) async fn record(&self, status: RewriteStatus) -> Result<()> {
        let (migration, claim) = (self.claim.migration, &self.claim);
        let mut statements = format!(
            "UPDATE esm_in_place.migration SET status = '{}', seen_at = NULL, \
             waits_for = NULL, changed_at = clock_timestamp() WHERE id = '{migration}'",
            status.name()
        );
        if status.is_terminal() {
            statements = format!("{statements}; {}", claim.release());
        }
        let recorded = if status.is_terminal() && self.refuses {
            let refusal = self.refusal();
            self.alive(refusal.remove(claim, &statements)).await
        } else {
            claim.write(&self.shared.wire, &statements).await
        };
        match recorded {
            // the answer to the commit was lost
            Err(_) if self.has_status(status).await.unwrap_or(false) => Ok(()),
            recorded => recorded,
        }
    }

    async fn has_status(&self, status: RewriteStatus) -> Result<bool> {
        let query = format!(
            "SELECT status FROM esm_in_place.migration WHERE id = '{}'",
            self.claim.migration
        );
        let rows = self.shared.wire.read(&query).await?;
        let found = rows.first().and_then(|row| row.first()?.as_deref());
        Ok(found == Some(status.name()))
    }

    /// Says that no process runs the migration any more: it can be resumed at once.
    pub async fn leave(&self) {
        let left = format!(
            "UPDATE esm_in_place.migration SET seen_at = NULL, waits_for = NULL WHERE id = '{}'",
            self.claim.migration
        );
        if let Err(error) = self.claim.write(&self.shared.wire, &left).await {
            tracing::debug!(%error, "the end of this process was not recorded");
        }
    }

    /// Does something, says meanwhile that this process runs the migration, and does what commands say.
    pub(super) async fn steered<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let _driven = self.steering.driven();
        let work = async {
            self.steering.poll(&self.shared).await?;
            work.await
        };
        self.watched(work, true).await
    }

    /// Does something, and says meanwhile that this process runs the migration.
    async fn alive<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.watched(work, false).await
    }

    async fn watched<T>(
        &self,
        work: impl Future<Output = Result<T>>,
        is_steered: bool,
    ) -> Result<T> {
        let signs = async {
            let mut polls = 0;
            let mut said = None;
            loop {
                self.shared.options.environment.clock.sleep(POLL).await;
                polls += 1;
                let polled = if is_steered {
                    self.steering.poll(&self.shared).await
                } else {
                    Ok(())
                };
                let waits_for = self.steering.waits_for();
                let signed = if polls % SIGN_OF_LIFE == 0 || waits_for != said {
                    let signed = self.sign(waits_for.as_deref()).await;
                    said = waits_for;
                    signed
                } else {
                    Ok(())
                };
                for done in [polled, signed] {
                    match done {
                        Err(lost) if *lost.kind() == ErrorKind::LockLost => return lost,
                        // each swap reads the claim itself
                        Err(error) => tracing::debug!(%error, "a sign of life failed"),
                        Ok(()) => {}
                    }
                }
            }
        };
        tokio::select! {
            done = work => done,
            lost = signs => Err(lost),
        }
    }

    async fn sign(&self, waits_for: Option<&str>) -> Result<()> {
        let seen = format!(
            "UPDATE esm_in_place.migration SET seen_at = clock_timestamp(), waits_for = {} \
             WHERE id = '{}'",
            waits_for.map_or("NULL".to_owned(), literal),
            self.claim.migration
        );
        self.claim.write(&self.shared.wire, &seen).await
    }
}

/// A pass over what the migration did not write.
fn unwritten(asks: bool) -> Walk<'static> {
    Walk {
        selected: &Selected::Unwritten,
        writes: true,
        asks,
    }
}
