//! Where an append goes.

use std::sync::Arc;

use super::reader::LoadedObject;
use super::retired::Retired;
use crate::error::Result;
use crate::id::{StreamId, StreamRef};
use crate::store::{Stores, Tail};

/// The stream that an object's appends go to, as it was last seen.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) stream: StreamRef,
    /// Depth of the stream in the object's chain of Closes.
    pub(super) generation: u64,
    pub(super) tail: Tail,
    /// Absent where nothing is retired.
    pub(super) retired: Option<Arc<Retired>>,
}

impl Route {
    /// The route to an object that was just loaded.
    pub(super) async fn to(stores: &Stores, loaded: &LoadedObject) -> Result<Self> {
        let stream = loaded.stream().clone();
        // an object's first stream is nobody's target
        let retired = match stream.stream == StreamId::first(&loaded.document.object) {
            true => None,
            false => Retired::of(stores, &stream, &loaded.tail).await?,
        };
        Ok(Self {
            stream,
            generation: loaded.document.terminated.len() as u64,
            tail: loaded.tail.clone(),
            retired: retired.map(Arc::new),
        })
    }

    /// The route after an own append.
    pub(super) fn after(self, tail: Tail) -> Self {
        Self { tail, ..self }
    }
}
