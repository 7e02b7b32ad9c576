//! A pass over all streams: reads, transforms and rewrites what is selected.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use esm_core::event::Revision;
use esm_core::id::ObjectId;
use esm_core::migration::Amount;
use esm_core::protocol::plan::Scope;
use esm_core::transform::Failure;
use esm_core::{Error, ErrorKind, Result};
use esm_layout::literal;
use futures::stream::{self, BoxStream, FuturesUnordered, StreamExt as _, TryStreamExt as _};

use super::change::{Change, ReadRow};
use super::checks;
use super::drops::Changes;
use super::migration::{self, Schemas};
use super::run::Running;
use super::selected::{Pass, Selected};
use super::statements::{Key, Kind};
use super::swap::{AGAIN, Swapped};
use super::transformer::RULE;

/// Streams that are rewritten at the same time, at most.
const MOST_CONCURRENT: usize = 8;

impl Running {
    /// One pass over all streams. A trial transforms and counts, and writes nothing.
    pub(super) async fn pass(&self, selected: &Selected, trial: bool) -> Result<Pass> {
        let mut total = Pass::default();
        let mut objects = self.objects();
        let mut under_way = FuturesUnordered::new();
        let mut has_more = true;
        loop {
            // the number may change at any time
            let most = self.steering.settings().concurrency.min(MOST_CONCURRENT);
            while has_more && under_way.len() < most.max(1) {
                match objects.try_next().await? {
                    Some(object) => under_way.push(self.one(object, selected, trial)),
                    None => has_more = false,
                }
            }
            let Some(one) = under_way.try_next().await? else {
                return Ok(total);
            };
            total.objects += 1;
            total.events += one.events;
            total.rewritten += one.rewritten;
            total.dropped += one.dropped;
            total.left += one.left;
        }
    }

    async fn one(&self, object: ObjectId, selected: &Selected, trial: bool) -> Result<Pass> {
        self.shared.check_stop()?;
        let _driven = self.steering.driven();
        let pass = self.stream(&object, selected, trial).await;
        pass.map_err(|e| e.context(&object))
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
            if !trial {
                let bytes = rows.iter().map(|row| row.text.len() as u64).sum();
                let amount = Amount {
                    events: read,
                    bytes,
                };
                self.steering.wait(&self.shared, amount).await?;
            }
            let changes = self.changes(object, Revision(pass.events), rows, selected)?;
            if !trial {
                self.note_schemas(selected, &changes).await?;
                let (done, mut again) = self
                    .swap_all(&key, &changes.rewritten, selected.kind())
                    .await?;
                pass.rewritten += done;
                if again.is_none() {
                    let (done, failed) = self.remove_all(&key, &changes.dropped).await?;
                    (pass.rewritten, pass.dropped) = (pass.rewritten + done, pass.dropped + done);
                    again = failed;
                }
                if let Some(error) = again {
                    if !back_off.pause(&self.shared.options.environment).await {
                        return Err(error);
                    }
                    continue;
                }
            } else {
                pass.rewritten += changes.rewritten.len() as u64;
            }
            back_off = AGAIN;
            pass.left += changes.left;
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

    /// As [`swap_all`](Self::swap_all), for rows that are removed.
    async fn remove_all(&self, key: &Key, rows: &[ReadRow]) -> Result<(u64, Option<Error>)> {
        let mut left = rows;
        if !rows.is_empty() {
            // the plan may have seen none of them
            let check = || checks::check_removals(&self.shared);
            self.removable.get_or_try_init(check).await?;
        }
        while !left.is_empty() {
            let (now, later) = left.split_at(self.batch.rows().min(left.len()));
            let removed = self.shared.remove(&self.claim, key, now, &self.batch);
            if let Swapped::Again(error) = removed.await? {
                return Ok(((rows.len() - left.len()) as u64, Some(error)));
            }
            left = later;
        }
        Ok((rows.len() as u64, None))
    }

    /// Transforms rows, and returns those that change.
    fn changes(
        &self,
        object: &ObjectId,
        first: Revision,
        rows: Vec<ReadRow>,
        selected: &Selected,
    ) -> Result<Changes> {
        let mut changes = Changes::default();
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
            if mapped.outputs.is_empty() && matches!(selected, Selected::Unwritten) {
                if row.columns.number < row.last {
                    changes.dropped.push(row);
                } else {
                    changes.left += 1;
                }
                continue;
            }
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
            changes.rewritten.extend(change);
        }
        Ok(changes)
    }

    /// Records schemas that the plan did not see, before the first event of them is written.
    async fn note_schemas(&self, selected: &Selected, changes: &Changes) -> Result<()> {
        if matches!(selected, Selected::Schemas(_)) {
            return Ok(());
        }
        // several streams note at the same time: each adds to what the others have noted
        let _noting = self.noting.lock().await;
        let mut schemas = self.schemas();
        let known = schemas.clone();
        let columns = &self.shared.columns;
        for row in &changes.dropped {
            schemas
                .retired
                .insert(columns.event(&row.columns)?.schema());
        }
        for change in &changes.rewritten {
            let before = columns.event(&change.row.columns)?.schema();
            let after = columns.event(&columns.after(change)?)?.schema();
            if !schemas.before.contains(&after) {
                schemas.introduced.insert(after.clone());
            }
            if before != after {
                schemas.retired.insert(before);
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

    pub(super) fn schemas(&self) -> Schemas {
        let schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        schemas.clone()
    }
}
