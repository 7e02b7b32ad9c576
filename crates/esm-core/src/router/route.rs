//! Where an append goes, and what must not be appended there.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::reader::LoadedObject;
use crate::error::{Error, Result};
use crate::event::Schema;
use crate::id::{MigrationId, StreamId, StreamRef};
use crate::store::{CellEvent, CellHeader, CellKind, EventStoreExt as _, Origin, Stores, Tail};

/// The stream that an object's appends go to, as it was last seen.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) stream: StreamRef,
    pub(super) tail: Tail,
    /// Absent where nothing is retired.
    pub(super) retired: Option<Arc<Retired>>,
}

/// The schemas that a migration retired (R11).
#[derive(Debug)]
pub(super) struct Retired {
    schemas: BTreeSet<Schema>,
    migration: MigrationId,
}

impl Route {
    /// The route to an object that was just loaded.
    pub(super) async fn to(stores: &Stores, loaded: &LoadedObject) -> Result<Self> {
        let stream = loaded.stream().clone();
        // an object's first stream is nobody's target
        let retired = match stream.stream == StreamId::first(&loaded.document.object) {
            true => None,
            false => retired(stores, &stream, &loaded.tail).await?,
        };
        Ok(Self {
            stream,
            tail: loaded.tail.clone(),
            retired: retired.map(Arc::new),
        })
    }

    /// The route after an own append.
    pub(super) fn after(self, tail: Tail) -> Self {
        Self { tail, ..self }
    }

    /// R11: code that knows only the old schema is told so; its event is not stored unchanged.
    pub(super) fn refuse_retired(&self, events: &[CellEvent]) -> Result<()> {
        let Some(retired) = &self.retired else {
            return Ok(());
        };
        let schemas = events.iter().map(|e| e.event.schema());
        match schemas.into_iter().find(|s| retired.schemas.contains(s)) {
            None => Ok(()),
            Some(schema) => Err(Error::invalid(format!(
                "events of a retired schema are refused: {schema} was retired by migration {}",
                retired.migration
            ))
            .with_hint("append what the migration turns such events into")),
        }
    }
}

async fn retired(stores: &Stores, stream: &StreamRef, tail: &Tail) -> Result<Option<Retired>> {
    let origin = match &tail.last {
        None => None,
        Some(first) if first.seq == 0 => origin_in(first).cloned(),
        Some(_) => stores.of(stream)?.origin(&stream.stream).await?,
    };
    Ok(origin
        .filter(|origin| !origin.retired.is_empty())
        .map(|origin| Retired {
            schemas: origin.retired,
            migration: origin.migration,
        }))
}

fn origin_in(header: &CellHeader) -> Option<&Origin> {
    match &header.kind {
        CellKind::Data { origin, .. } => origin.as_ref(),
        _ => None,
    }
}
