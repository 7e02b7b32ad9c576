//! Undoing a migration in place: the originals from its archive, and what came since.

use std::collections::BTreeSet;
use std::sync::Arc;

use esm_core::event::Schema;
use esm_core::store::OnRetired;
use esm_core::transform::{EventTransformer, Identity};
use esm_core::{Error, ErrorKind, Result};
use esm_layout::literal;
use serde::Serialize;

use super::migration::{Rewrite, RewriteStatus, ensure_whole};
use super::place::{InPlace, only_introduced};
use super::refuse::Refusal;
use super::run::Running;
use super::selected::Selected;
use super::statements::PAGE_ROWS;
use super::swap::{AGAIN, Batch, longest};
use super::wire::{Failure, Row};

/// Rows that a report names.
const NAMED: usize = 10;
/// Passes for what new code writes meanwhile.
const SWEEPS: u32 = 4;

/// What an undo did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Undone {
    /// Number of events that were restored.
    pub restored: u64,
    /// Number of events that came since and were transformed back.
    pub transformed_back: u64,
    /// Number of events that stay, because they were changed or removed since they were rewritten.
    pub left: u64,
    /// The first of these: the key of the stream, and the number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_events: Vec<String>,
    /// Whether new code still wrote events that had to be transformed back: the undo is to be
    /// repeated once it has ended.
    pub new_code_writes: bool,
}

impl InPlace {
    /// Returns what an undo would do. Writes nothing.
    ///
    /// # Errors
    /// As [`roll_back`](Self::roll_back).
    pub async fn outlook(
        &self,
        known: &Rewrite,
        down: Option<Arc<dyn EventTransformer>>,
    ) -> Result<Undone> {
        self.ensure_reversible(known).await?;
        ensure_whole(&self.0.wire, known).await?;
        let running = self.watching(known, down.clone());
        let transformed_back = running.to_transform_back(known, down.is_some()).await?;
        Ok(Undone {
            restored: known.rewritten,
            transformed_back,
            ..Undone::default()
        })
    }

    /// Undoes a migration: restores each event that still is as the migration wrote it, byte for
    /// byte, and transforms back what came since in a schema that only the migration can have made.
    ///
    /// # Errors
    /// Before anything is changed: `Invalid` if a newer migration is to be undone first, and if
    /// events came since that need a `down`; `Unsupported` if the archive was dropped; `Corrupt` if
    /// it is incomplete; `Fenced` while another process runs it. Later as
    /// [`Running::rewrite`]; the same call continues it.
    pub async fn roll_back(
        &self,
        known: &Rewrite,
        reason: &str,
        down: Option<Arc<dyn EventTransformer>>,
    ) -> Result<Undone> {
        self.outlook(known, down.clone()).await?;
        let mut status = format!(
            "UPDATE esm_in_place.migration SET status = 'rolling_back', reason = {}, \
             changed_at = clock_timestamp() WHERE id = '{}' AND status <> 'rolled_back'",
            literal(reason),
            known.migration
        );
        if known.planned.on_retired == Some(OnRetired::Refuse) {
            // from the beginning of the undo to its end, everything passes
            let refusal = Refusal {
                shared: &self.0,
                migration: known.migration,
            };
            status = format!("{status}; {}", refusal.open());
        }
        let claim = self.take(known, Some(&status)).await?;
        let has_down = down.is_some();
        let running = Running::new(
            Arc::clone(&self.0),
            claim,
            &known.planned,
            known.schemas.clone(),
            down.unwrap_or_else(|| Arc::new(Identity)),
        );
        let undone = running.alive(running.undo(known, has_down)).await;
        match &undone {
            Ok(undone) if !undone.new_code_writes => {
                running.record(RewriteStatus::RolledBack).await?;
            }
            _ => running.leave().await,
        }
        undone
    }

    async fn ensure_reversible(&self, known: &Rewrite) -> Result<()> {
        let migration = known.migration;
        if known.status == RewriteStatus::RolledBack {
            return Err(Error::invalid(format!(
                "migration is rolled back already: {migration}"
            )));
        }
        let newer = self.migrations().await?;
        let newer = newer
            .iter()
            .take_while(|other| other.migration != migration);
        let standing = newer
            .into_iter()
            .find(|o| o.status != RewriteStatus::RolledBack);
        match standing {
            Some(other) => Err(Error::invalid(format!(
                "a newer migration of the table is to be undone first: {}",
                other.migration
            ))
            .with_hint(format!("esm rollback {}", other.migration))),
            None => Ok(()),
        }
    }

    /// A migration that is only read: its claim is that of no epoch.
    fn watching(&self, known: &Rewrite, down: Option<Arc<dyn EventTransformer>>) -> Running {
        let claim = super::claim::Claim {
            relation: known.table.clone(),
            migration: known.migration,
            epoch: 0,
        };
        Running::new(
            Arc::clone(&self.0),
            claim,
            &known.planned,
            known.schemas.clone(),
            down.unwrap_or_else(|| Arc::new(Identity)),
        )
    }
}

impl Running {
    /// Returns how many events need to be transformed back.
    async fn to_transform_back(&self, known: &Rewrite, has_down: bool) -> Result<u64> {
        let introduced = only_introduced(&known.schemas);
        if introduced.is_empty() {
            return Ok(0);
        }
        if has_down {
            let selected = Selected::Schemas(introduced);
            return Ok(self.pass(&selected, true).await?.rewritten);
        }
        let came = self.came_since(&introduced).await?;
        if came == 0 {
            return Ok(0);
        }
        let schemas: Vec<_> = introduced.iter().map(ToString::to_string).collect();
        Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "events came since that need a down: {came} of {}",
                schemas.join(", ")
            ),
        )
        .with_hint("add --down FILE.jq, a program that turns them back into the old schemas"))
    }

    /// Counts events of these schemas that the migration did not write.
    async fn came_since(&self, introduced: &BTreeSet<Schema>) -> Result<u64> {
        self.count(&Selected::Schemas(introduced.clone())).await
    }

    async fn undo(&self, known: &Rewrite, has_down: bool) -> Result<Undone> {
        let mut undone = self.restore().await?;
        let introduced = only_introduced(&known.schemas);
        if introduced.is_empty() {
            return Ok(undone);
        }
        if !has_down {
            undone.new_code_writes = self.came_since(&introduced).await? > 0;
            return Ok(undone);
        }
        let selected = Selected::Schemas(introduced);
        for _ in 0..SWEEPS {
            let pass = self.pass(&selected, false).await?;
            undone.transformed_back += pass.rewritten;
            undone.new_code_writes = pass.rewritten > 0;
            if pass.rewritten == 0 {
                break;
            }
        }
        Ok(undone)
    }

    /// Restores the rows of the archive, a stream after another.
    async fn restore(&self) -> Result<Undone> {
        let mut undone = Undone::default();
        let mut after: Option<(String, i64)> = None;
        let mut back_off = AGAIN;
        loop {
            self.shared.check_stop()?;
            let rows = self
                .shared
                .wire
                .read(&self.archived(after.as_ref()))
                .await?;
            let Some(Archived { key, keys, numbers }) = Archived::of(&rows)? else {
                return Ok(undone);
            };
            let batch = self.batch.rows().min(numbers.len());
            let (first, last) = (numbers[0], numbers[batch - 1]);
            let statements = &self.shared.statements;
            let (claim, shared) = (&self.claim, &self.shared);
            // one transaction after the other: each is complete in itself
            let put_back = statements.put_back(claim, &keys, first, last);
            let restore = statements.restore(claim, &keys, first, last);
            let written = async {
                let put_back = if shared.shape.can_drop {
                    shared.wire.write(&put_back, longest(batch)).await?
                } else {
                    Vec::new()
                };
                let restored = shared.wire.write(&restore, longest(batch)).await?;
                Ok::<_, Failure>((counted(&put_back), counted(&restored)))
            };
            match written.await {
                Ok((put_back, restored)) => {
                    undone.restored += put_back + restored;
                    self.name_left(&mut undone, &key, first, last).await?;
                    (self.shared.options.on_progress)(undone.restored);
                    after = Some((key, last));
                    back_off = AGAIN;
                }
                Err(failure) => self.again(failure, &mut back_off).await?,
            }
        }
    }

    async fn again(
        &self,
        failure: Failure,
        back_off: &mut esm_core::backoff::BackOff,
    ) -> Result<()> {
        if matches!(failure, Failure::TooLong(_)) {
            Batch::halve(&self.batch);
        }
        let is_transient = failure.is_transient();
        let error = failure.into_error();
        self.claim.ensure_held(&self.shared.wire).await?;
        if is_transient && back_off.pause(&self.shared.options.environment).await {
            return Ok(());
        }
        Err(error)
    }

    /// The rows of one stream in the archive that are not restored, after a place.
    fn archived(&self, after: Option<&(String, i64)>) -> String {
        let migration = self.claim.migration;
        let place = after.map_or(String::new(), |(key, number)| {
            format!(" AND (key, number) > ({}::text[], {number})", literal(key))
        });
        format!(
            "WITH next AS (
                 SELECT key FROM esm_in_place.archive
                 WHERE migration = '{migration}' AND kind <> 'down' AND undone_at IS NULL{place}
                 ORDER BY key, number LIMIT 1)
             SELECT a.key, array_to_json(a.key), a.number FROM esm_in_place.archive a
             JOIN next ON a.key = next.key
             WHERE a.migration = '{migration}' AND a.kind <> 'down' AND a.undone_at IS NULL{}
             ORDER BY a.number LIMIT {PAGE_ROWS}",
            place.replace("(key, number)", "(a.key, a.number)")
        )
    }

    /// Counts and names the rows of a range that were not restored.
    async fn name_left(&self, undone: &mut Undone, key: &str, first: i64, last: i64) -> Result<()> {
        let query = format!(
            "SELECT number FROM esm_in_place.archive WHERE migration = '{}' AND kind <> 'down'
             AND key = {}::text[] AND number BETWEEN {first} AND {last} AND undone_at IS NULL
             ORDER BY number",
            self.claim.migration,
            literal(key)
        );
        for row in self.shared.wire.read(&query).await? {
            undone.left += 1;
            if let (Some(Some(number)), true) = (row.first(), undone.left_events.len() < NAMED) {
                undone.left_events.push(format!("{key} {number}"));
            }
        }
        Ok(())
    }
}

/// The number that a statement returns; none is 0.
fn counted(rows: &[Row]) -> u64 {
    let mut numbers = rows
        .iter()
        .filter_map(|row| row.first()?.as_deref()?.parse().ok());
    numbers.next().unwrap_or(0)
}

/// Rows of one stream in the archive.
struct Archived {
    /// The key as the server writes an array.
    key: String,
    keys: Vec<String>,
    numbers: Vec<i64>,
}

impl Archived {
    fn of(rows: &[Row]) -> Result<Option<Self>> {
        let damaged = || Error::corrupt("a row of the archive cannot be read");
        let Some([Some(key), Some(keys), _]) = rows.first().map(Vec::as_slice) else {
            return Ok(None);
        };
        let keys = serde_json::from_str(keys).map_err(|e| damaged().with_source(e))?;
        let numbers = rows.iter().map(|row| {
            let number = row
                .get(2)
                .and_then(|number| number.as_deref()?.parse().ok());
            number.ok_or_else(damaged)
        });
        Ok(Some(Self {
            key: key.clone(),
            keys,
            numbers: numbers.collect::<Result<_>>()?,
        }))
    }
}
