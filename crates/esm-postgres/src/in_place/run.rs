//! Running a migration in place: its passes over all streams, and its end.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use esm_core::event::{Revision, Schema};
use esm_core::id::{MigrationId, ObjectId};
use esm_core::protocol::plan::Scope;
use esm_core::transform::{EventTransformer, Failure, Mapper};
use esm_core::{Error, ErrorKind, Result};
use esm_layout::literal;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use super::change::{Change, ReadRow};
use super::claim::Claim;
use super::migration::{self, RewriteStatus, Schemas};
use super::shared::Shared;
use super::statements::{Key, Kind};
use super::swap::{AGAIN, Batch, Swapped};
use super::transformer::RULE;

/// How often a process says that it runs a migration.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);
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

/// What one pass over all streams did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Pass {
    /// Number of streams that were read.
    pub objects: u64,
    /// Number of events that were read.
    pub events: u64,
    /// Number of events that were rewritten.
    pub rewritten: u64,
}

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
    scope: Scope,
    schemas: Mutex<Schemas>,
    mapper: Mapper,
    pub(super) batch: Batch,
    read: AtomicU64,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("claim", &self.claim)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Which rows of a stream are transformed, and why.
#[derive(Debug, Clone)]
pub(super) enum Selected {
    /// Those that this migration did not write.
    Unwritten,
    /// Those that this migration did not write, of these schemas.
    Schemas(BTreeSet<Schema>),
}

impl Selected {
    fn kind(&self) -> Kind {
        match self {
            Self::Unwritten => Kind::Swap,
            Self::Schemas(_) => Kind::Down,
        }
    }

    fn includes(&self, schema: &Schema) -> bool {
        match self {
            Self::Unwritten => true,
            Self::Schemas(schemas) => schemas.contains(schema),
        }
    }
}

impl Running {
    pub(super) fn new(
        shared: Arc<Shared>,
        claim: Claim,
        scope: Scope,
        schemas: Schemas,
        transformer: Arc<dyn EventTransformer>,
    ) -> Self {
        Self {
            shared,
            claim,
            scope,
            schemas: Mutex::new(schemas),
            mapper: Mapper::new(transformer).checking_determinism(),
            batch: Batch::default(),
            read: AtomicU64::new(0),
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
        self.alive(self.pass(&Selected::Unwritten, false)).await
    }

    /// Repeats passes for what old code writes meanwhile: until two find nothing, at most this many.
    /// All transactions that are older than the first of these two have ended in between.
    ///
    /// # Errors
    /// As [`rewrite`](Self::rewrite).
    pub async fn settle(&self, most: u32) -> Result<Settled> {
        self.alive(self.settle_in(most)).await
    }

    async fn settle_in(&self, most: u32) -> Result<Settled> {
        let mut settled = Settled::default();
        let mut found_nothing = false;
        for _ in 0..most {
            let pass = self.pass(&Selected::Unwritten, false).await?;
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

    /// Waits for the transactions that are running now; returns those that do not end.
    async fn older_transactions(&self) -> Result<Option<String>> {
        let now = "SELECT pg_snapshot_xmax(pg_current_snapshot()), clock_timestamp()";
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
            self.shared.check_stop()?;
            let rows = self.shared.wire.read(&older).await?;
            let Some([transactions, processes]) = rows.first().map(Vec::as_slice) else {
                return Err(Error::corrupt("the server has no snapshot"));
            };
            waits_for = processes.clone().or_else(|| transactions.clone());
            if waits_for.is_none() {
                return Ok(None);
            }
            self.shared.options.environment.clock.sleep(POLL).await;
        }
        Ok(waits_for)
    }

    /// Ends the migration: old code may still write only if `is_settled` is `false`, and then it is
    /// to be ended later.
    ///
    /// # Errors
    /// `LockLost`; those of the server.
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
             changed_at = clock_timestamp() WHERE id = '{migration}'",
            status.name()
        );
        if status.is_terminal() {
            statements = format!("{statements}; {}", claim.release());
        }
        claim.write(&self.shared.wire, &statements).await
    }

    /// Says that no process runs the migration any more: it can be resumed at once.
    pub async fn leave(&self) {
        let left = format!(
            "UPDATE esm_in_place.migration SET seen_at = NULL WHERE id = '{}'",
            self.claim.migration
        );
        if let Err(error) = self.claim.write(&self.shared.wire, &left).await {
            tracing::debug!(%error, "the end of this process was not recorded");
        }
    }

    /// Does something, and says meanwhile that this process runs the migration.
    pub(super) async fn alive<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let seen = format!(
            "UPDATE esm_in_place.migration SET seen_at = clock_timestamp() WHERE id = '{}'",
            self.claim.migration
        );
        let signs = async {
            loop {
                self.shared
                    .options
                    .environment
                    .clock
                    .sleep(SIGN_OF_LIFE)
                    .await;
                match self.claim.write(&self.shared.wire, &seen).await {
                    Err(lost) if *lost.kind() == ErrorKind::LockLost => return lost,
                    // each swap reads the claim itself
                    Err(error) => tracing::debug!(%error, "a sign of life failed"),
                    Ok(()) => {}
                }
            }
        };
        tokio::select! {
            done = work => done,
            lost = signs => Err(lost),
        }
    }

    /// One pass over all streams. A trial transforms and counts, and writes nothing.
    pub(super) async fn pass(&self, selected: &Selected, trial: bool) -> Result<Pass> {
        let each = self.objects().map_ok(|object| async move {
            self.shared.check_stop()?;
            self.stream(&object, selected, trial)
                .await
                .map_err(|e| e.context(&object))
        });
        let concurrency = self.shared.options.concurrency.max(1);
        let passes = each.try_buffer_unordered(concurrency);
        let total = passes.try_fold(Pass::default(), |total, one| async move {
            Ok(Pass {
                objects: total.objects + 1,
                events: total.events + one.events,
                rewritten: total.rewritten + one.rewritten,
            })
        });
        total.await
    }

    /// Counts the events that are selected. Writes nothing.
    pub(super) async fn count(&self, selected: &Selected) -> Result<u64> {
        let mut objects = self.objects();
        let mut count = 0;
        while let Some(object) = objects.try_next().await? {
            let Some(key) = self.shared.streams.key(&object).await? else {
                continue;
            };
            let mut from = Some(i64::MIN);
            while let Some(number) = from {
                self.shared.check_stop()?;
                let rows = self.shared.page(&self.claim, &key, number).await?;
                for row in rows.iter().filter(|row| row.written.is_none()) {
                    let event = self.shared.columns.event(&row.columns)?;
                    count += u64::from(selected.includes(&event.schema()));
                }
                from = rows
                    .last()
                    .and_then(|row| row.columns.number.checked_add(1));
            }
        }
        Ok(count)
    }

    fn objects(&self) -> BoxStream<'_, Result<ObjectId>> {
        let streams = &self.shared.streams;
        match &self.scope {
            Scope::Objects(objects) => stream::iter(objects.iter().cloned().map(Ok)).boxed(),
            Scope::Name(name) => streams.objects(Some(name.clone())),
            Scope::All => streams.objects(None),
        }
    }

    async fn stream(&self, object: &ObjectId, selected: &Selected, trial: bool) -> Result<Pass> {
        let mut pass = Pass::default();
        let Some(key) = self.shared.streams.key(object).await? else {
            return Ok(pass);
        };
        let (mut from, mut back_off) = (i64::MIN, AGAIN);
        // what is appended meanwhile is for a sweep: a pass must end
        let mut end = None;
        loop {
            self.shared.check_stop()?;
            let rows = match self.shared.page(&self.claim, &key, from).await {
                // a server that is restarted is back by then
                Err(error)
                    if *error.kind() == ErrorKind::Unavailable
                        && back_off.pause(&self.shared.options.environment).await =>
                {
                    continue;
                }
                rows => rows?,
            };
            let Some(last) = rows.last().map(|row| row.columns.number) else {
                return Ok(pass);
            };
            let end = *end.get_or_insert_with(|| rows.first().map_or(last, |row| row.last));
            let read = rows.len() as u64;
            let changes = self.changes(object, Revision(pass.events), rows, selected)?;
            if !trial {
                self.note_introduced(selected, &changes).await?;
                let (done, again) = self.swap_all(&key, &changes, selected.kind()).await?;
                pass.rewritten += done;
                if let Some(error) = again {
                    if !back_off.pause(&self.shared.options.environment).await {
                        return Err(error);
                    }
                    continue;
                }
            } else {
                pass.rewritten += changes.len() as u64;
            }
            back_off = AGAIN;
            pass.events += read;
            let all = self.read.fetch_add(read, Ordering::Relaxed) + read;
            (self.shared.options.on_progress)(all);
            if last >= end {
                return Ok(pass);
            }
            from = last + 1;
        }
    }

    /// Rewrites the rows in transactions of a batch; returns how many are rewritten, and why the
    /// stream is to be read again.
    async fn swap_all(
        &self,
        key: &Key,
        changes: &[Change],
        kind: Kind,
    ) -> Result<(u64, Option<Error>)> {
        let mut left = changes;
        while !left.is_empty() {
            let (now, later) = left.split_at(self.batch.rows().min(left.len()));
            let swapped = self.shared.swap(&self.claim, kind, key, now, &self.batch);
            if let Swapped::Again(error) = swapped.await? {
                return Ok(((changes.len() - left.len()) as u64, Some(error)));
            }
            left = later;
        }
        Ok((changes.len() as u64, None))
    }

    /// Transforms rows, and returns those that change.
    fn changes(
        &self,
        object: &ObjectId,
        first: Revision,
        rows: Vec<ReadRow>,
        selected: &Selected,
    ) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for (index, row) in rows.into_iter().enumerate() {
            if row.written.is_some() {
                continue;
            }
            let before = self.shared.columns.event(&row.columns)?;
            if !selected.includes(&before.schema()) {
                continue;
            }
            let revision = first.plus(index as u64);
            let mapped = self.mapper.map(object, revision, &before)?;
            let failure = |message: String| Failure {
                object: Some(Box::new(object.clone())),
                event: before.id.clone(),
                schema: before.schema(),
                revision,
                rule: RULE.to_owned(),
                message,
                count: 1,
            };
            let [meant] = mapped.outputs.as_slice() else {
                let outputs = mapped.outputs.len();
                let message = format!("{outputs} outputs, and an event keeps its number in place");
                return Err(failure(message).into());
            };
            let change = self.shared.columns.change(row, &before, meant);
            let change = change.map_err(|e| match e.kind() {
                ErrorKind::Unsupported => failure(e.to_string()).into(),
                _ => e,
            })?;
            changes.extend(change);
        }
        Ok(changes)
    }

    /// Records schemas that the plan did not see, before the first event of them is written.
    async fn note_introduced(&self, selected: &Selected, changes: &[Change]) -> Result<()> {
        if matches!(selected, Selected::Schemas(_)) {
            return Ok(());
        }
        let mut schemas = self.schemas();
        let known = schemas.clone();
        for change in changes {
            let schema = self
                .shared
                .columns
                .event(&self.shared.columns.after(change)?)?
                .schema();
            if !schemas.before.contains(&schema) {
                schemas.introduced.insert(schema);
            }
        }
        if schemas == known {
            return Ok(());
        }
        let note = format!(
            "UPDATE esm_in_place.migration SET schemas = {} WHERE id = '{}'",
            literal(&migration::json(&schemas)?),
            self.claim.migration
        );
        self.claim.write(&self.shared.wire, &note).await?;
        *self.schemas.lock().unwrap_or_else(PoisonError::into_inner) = schemas;
        Ok(())
    }

    fn schemas(&self) -> Schemas {
        let schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        schemas.clone()
    }
}
