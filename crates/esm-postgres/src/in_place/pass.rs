//! A pass over all streams: reads, transforms and rewrites what is selected.

use std::collections::HashSet;
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
use super::selected::{Kind, Pass, Selected, Walk};
use super::shared::AGAIN;
use super::statements::Key;
use super::swap::Swapped;
use super::transformer::RULE;

/// Streams that are rewritten at the same time, at most.
const MOST_CONCURRENT: usize = 8;
/// Streams that are asked about at the same time.
const ASKED: usize = 1_000;

impl Running {
    /// One pass over all streams.
    pub(super) async fn pass(&self, walk: Walk<'_>) -> Result<Pass> {
        let mut total = Pass::default();
        let mut objects = self.walked(walk);
        let mut under_way = FuturesUnordered::new();
        let mut has_more = true;
        loop {
            if under_way.is_empty() {
                self.steering.safe_point(&self.shared).await?;
            }
            // the number may change at any time, and a run that is paused begins nothing
            while has_more && under_way.len() < self.lanes() && self.steering.paused_by().is_none()
            {
                match objects.try_next().await? {
                    Some(object) => {
                        let driven = self.steering.driven();
                        under_way.push(self.one(object, walk, driven));
                    }
                    None => has_more = false,
                }
            }
            // what is under way counts by itself
            let rests = self.steering.resting();
            let one = under_way.try_next().await?;
            drop(rests);
            let Some(one) = one else {
                if has_more {
                    continue;
                }
                return Ok(total);
            };
            total.objects += 1;
            total.events += one.events;
            total.rewritten += one.rewritten;
            total.dropped += one.dropped;
            total.left += one.left;
        }
    }

    /// Streams that are worked on at the same time.
    pub(super) fn lanes(&self) -> usize {
        let wanted = self.steering.settings().concurrency;
        wanted.clamp(1, MOST_CONCURRENT)
    }

    async fn one(&self, object: ObjectId, walk: Walk<'_>, _driven: impl Drop) -> Result<Pass> {
        let pass = self.stream(&object, walk).await;
        pass.map_err(|e| e.context(&object))
    }

    /// Counts the events that are selected. Writes nothing.
    pub(super) async fn count(&self, selected: &Selected) -> Result<u64> {
        let mut objects = self.walked(Walk {
            selected,
            writes: false,
            asks: true,
        });
        let mut count = 0;
        while let Some(object) = objects.try_next().await? {
            let key = self.shared.read_again(|| self.shared.streams.key(&object));
            let Some(key) = key.await? else {
                continue;
            };
            let mut from = Some(i64::MIN);
            while let Some(number) = from {
                self.shared.check_stop()?;
                let page = self
                    .shared
                    .page(&self.claim, selected, &key, number)
                    .await?;
                for row in &page.rows {
                    let event = self.shared.columns.event(&row.columns)?;
                    count += u64::from(selected.includes(&event.schema()));
                }
                from = page.end.and_then(|end| end.checked_add(1));
            }
        }
        Ok(count)
    }

    /// The objects of a pass.
    fn walked<'a>(&'a self, walk: Walk<'a>) -> BoxStream<'a, Result<ObjectId>> {
        let all = self.objects();
        if !walk.asks {
            return all;
        }
        all.chunks(ASKED)
            .then(move |objects| self.open_of(objects, walk.selected))
            .map_ok(|objects| stream::iter(objects.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    /// Those of some objects whose streams have rows that are selected, by one statement.
    async fn open_of(
        &self,
        objects: Vec<Result<ObjectId>>,
        selected: &Selected,
    ) -> Result<Vec<ObjectId>> {
        // not a point to rest at: the streams under way would not be polled
        self.shared.check_stop()?;
        let (mut found, mut keys) = (Vec::new(), Vec::new());
        for object in objects {
            let object = object?;
            let key = self.shared.read_again(|| self.shared.streams.key(&object));
            if let Some(key) = key.await? {
                found.push(object);
                keys.push(key);
            }
        }
        if keys.is_empty() {
            return Ok(found);
        }
        let query = self
            .shared
            .statements
            .open_streams(&self.claim, selected, &keys);
        let rows = self.shared.read_again(|| self.shared.wire.read(&query));
        let rows = rows.await?;
        let open = rows.iter().map(|row| {
            let key = row.first().and_then(Option::as_deref).unwrap_or_default();
            serde_json::from_str::<Vec<String>>(key)
                .map_err(|e| Error::corrupt("the key of a stream cannot be read").with_source(e))
        });
        let open: HashSet<Vec<String>> = open.collect::<Result<_>>()?;
        let both = found.into_iter().zip(keys);
        let both = both.filter(|(_, key)| open.contains(key));
        Ok(both.map(|(object, _)| object).collect())
    }

    fn objects(&self) -> BoxStream<'_, Result<ObjectId>> {
        let streams = &self.shared.streams;
        match &self.scope {
            Scope::Objects(objects) => stream::iter(objects.iter().cloned().map(Ok)).boxed(),
            Scope::Name(name) => streams.objects(Some(name.clone())),
            Scope::All => streams.objects(None),
        }
    }

    async fn stream(&self, object: &ObjectId, walk: Walk<'_>) -> Result<Pass> {
        let (selected, trial) = (walk.selected, !walk.writes);
        let mut pass = Pass::default();
        let key = self.shared.read_again(|| self.shared.streams.key(object));
        let Some(key) = key.await? else {
            return Ok(pass);
        };
        let (mut from, mut back_off) = (i64::MIN, AGAIN);
        // what is appended meanwhile is for a sweep: a pass must end
        let mut end = None;
        loop {
            self.steering.safe_point(&self.shared).await?;
            let page = || self.shared.page(&self.claim, selected, &key, from);
            let page = self.shared.read_again(page).await?;
            let Some(last) = page.end else {
                return Ok(pass);
            };
            let (read, end) = (page.read, *end.get_or_insert(page.last));
            if !trial && !page.rows.is_empty() {
                let amount = Amount {
                    events: page.rows.len() as u64,
                    bytes: page.rows.iter().map(|row| row.text.len() as u64).sum(),
                };
                self.steering.wait(&self.shared, amount).await?;
            }
            let changes = self.changes(object, Revision(pass.events), page.rows, selected)?;
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
        for row in rows {
            let before = self.shared.columns.event(&row.columns)?;
            if !selected.includes(&before.schema()) {
                continue;
            }
            let revision = first.plus(row.place);
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
                    changes.schemas.insert((before.schema(), None));
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
            if let Some(change) = change {
                let schemas = (before.schema(), Some(meant.schema()));
                changes.schemas.insert(schemas);
                changes.rewritten.push(change);
            }
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
        for (before, after) in &changes.schemas {
            if let Some(after) = after
                .as_ref()
                .filter(|after| !schemas.before.contains(after))
            {
                schemas.introduced.insert(after.clone());
            }
            if after.as_ref() != Some(before) {
                schemas.retired.insert(before.clone());
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
