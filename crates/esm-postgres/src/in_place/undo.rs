//! Undoing a migration in place: the originals from its archive, and what came since.

use std::collections::BTreeSet;
use std::sync::Arc;

use esm_core::event::Schema;
use esm_core::transform::{EventTransformer, Identity};
use esm_core::{Error, ErrorKind, Result};
use esm_layout::literal;
use serde::Serialize;

use super::migration::{Rewrite, RewriteStatus, ensure_whole};
use super::place::{InPlace, only_introduced};
use super::put_back;
use super::run::Running;
use super::selected::{Selected, Walk};
use super::{altered, checks};

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
    /// The columns that dropped events had and that the table has no more: what was in them stays in
    /// the archive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns_gone: Vec<String>,
    /// The columns whose type was changed since and holds the originals in another form: they are as
    /// that change would have left them, and to the byte in the archive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns_converted: Vec<String>,
    /// Whether new code still wrote events that had to be transformed back: the undo is to be
    /// repeated once it has ended.
    pub new_code_writes: bool,
    /// Transactions that did not end, whose events nobody can see before: the undo is to be repeated
    /// once they have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
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
        self.ensure_rights_to_undo(known).await?;
        let columns_gone = put_back::check(&self.0, known).await?;
        let columns_converted = altered::check(&self.0, known.migration).await?;
        let running = self.watching(known, down.clone());
        let transformed_back = running.to_transform_back(known, down.is_some()).await?;
        Ok(Undone {
            restored: known.rewritten,
            transformed_back,
            columns_gone,
            columns_converted,
            ..Undone::default()
        })
    }

    /// Undoes a migration: restores each event that still is as the migration wrote it, byte for
    /// byte, and transforms back what came since in a schema that only the migration can have made.
    ///
    /// # Errors
    /// Before anything is changed: `Invalid` if a newer migration is to be undone first, and if
    /// events came since that need a `down`; `Unsupported` if the archive was dropped, or if the table
    /// was altered so that it does not take the originals, naming what; `PermissionDenied` with the `GRANT` that
    /// is missing; `Corrupt` if the archive is incomplete; `Fenced` while another process runs it. Later
    /// as [`Running::rewrite`]; the same call continues it.
    pub async fn roll_back(
        &self,
        known: &Rewrite,
        reason: &str,
        down: Option<Arc<dyn EventTransformer>>,
    ) -> Result<Undone> {
        let outlook = self.outlook(known, down.clone()).await?;
        let status = format!(
            "UPDATE esm_in_place.migration SET status = 'rolling_back', reason = {}, \
             changed_at = clock_timestamp() WHERE id = '{}' AND status <> 'rolled_back'",
            literal(reason),
            known.migration
        );
        // from the beginning of the undo to its end, everything passes
        let status = match self.refusal_of(known) {
            Some(refusal) => format!("{status}; {}", refusal.open()),
            None => status,
        };
        let claim = self.take(known, Some(&status)).await?;
        let has_down = down.is_some();
        let running = Running::new(
            Arc::clone(&self.0),
            claim,
            &known.planned,
            known.schemas.clone(),
            down.unwrap_or_else(|| Arc::new(Identity)),
        )
        .of_undo();
        let undone = running.steered(running.undo(known, has_down)).await;
        let undone = undone.map(|undone| Undone {
            columns_gone: outlook.columns_gone,
            columns_converted: outlook.columns_converted,
            ..undone
        });
        match &undone {
            Ok(undone) if !undone.new_code_writes && undone.waits_for.is_none() => {
                running.record(RewriteStatus::RolledBack).await?;
            }
            _ => running.leave().await,
        }
        undone
    }

    async fn ensure_rights_to_undo(&self, known: &Rewrite) -> Result<()> {
        checks::check_undo(&self.0).await?;
        self.ensure_lag_is_seen(known).await?;
        match self.refusal_of(known) {
            Some(refusal) => refusal.check_rights(false).await,
            None => Ok(()),
        }
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
            return Ok(self.pass(came(&selected, false)).await?.rewritten);
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
        let mut found_nothing = false;
        // until two passes in a row have found nothing, new code may still write
        undone.new_code_writes = true;
        for _ in 0..SWEEPS {
            let came = if has_down {
                let selected = Selected::Schemas(introduced.clone());
                let pass = self.pass(came(&selected, true)).await?;
                undone.transformed_back += pass.rewritten;
                pass.rewritten
            } else {
                self.came_since(&introduced).await?
            };
            if found_nothing || (came > 0 && !has_down) {
                undone.new_code_writes = came > 0;
                break;
            }
            if came > 0 {
                continue;
            }
            // what these wrote is seen by nobody until they end
            undone.waits_for = self.older_transactions().await?;
            if undone.waits_for.is_some() {
                break;
            }
            found_nothing = true;
        }
        Ok(undone)
    }
}

/// A pass over what came since in schemas that only the migration can have made.
fn came(selected: &Selected, writes: bool) -> Walk<'_> {
    Walk {
        selected,
        writes,
        asks: true,
    }
}
