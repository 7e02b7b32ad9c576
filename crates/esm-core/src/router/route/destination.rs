//! Where an append goes.

use std::sync::Arc;

use crate::error::Result;
use crate::id::{StreamId, StreamRef};
use crate::router::read::reader::LoadedObject;
use crate::router::route::retired::Retired;
use crate::store::{ObjectDocument, Origin, Stores, Tail};

/// The stream that an object's appends go to, as it was last seen.
#[derive(Debug, Clone)]
pub(in crate::router) struct Route {
    pub(in crate::router) stream: StreamRef,
    /// Depth of the stream in the object's chain of Closes.
    pub(in crate::router) generation: u64,
    pub(in crate::router) tail: Tail,
    /// Absent where nothing is retired.
    pub(in crate::router) retired: Option<Arc<Retired>>,
}

impl Route {
    /// The route to an object that was just loaded.
    pub(in crate::router) async fn to(stores: &Stores, loaded: &LoadedObject) -> Result<Self> {
        let stream = loaded.stream().clone();
        // an object's first stream is nobody's target
        let retired = if stream.stream == StreamId::first(&loaded.document.object) {
            None
        } else {
            Retired::of(stores, &stream, &loaded.tail).await?
        };
        Ok(Self {
            stream,
            generation: loaded.document.generation() as u64,
            tail: loaded.tail.clone(),
            retired: retired.map(Arc::new),
        })
    }

    /// The route to the stream that a document names, whose first cell says where it comes from.
    pub(in crate::router) fn behind(
        document: &ObjectDocument,
        tail: Tail,
        origin: Option<Origin>,
    ) -> Self {
        Self {
            stream: document.active.clone(),
            generation: document.generation() as u64,
            tail,
            retired: Retired::by(origin).map(Arc::new),
        }
    }

    /// The route after an own append.
    pub(in crate::router) fn after(self, tail: Tail) -> Self {
        Self { tail, ..self }
    }
}
