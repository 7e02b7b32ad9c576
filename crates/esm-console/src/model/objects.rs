//! Objects by name and the beginning of their key.
//!
//! A search reads a bounded number of names and says how many. An object that is named in
//! full is found with one request.

use std::sync::Arc;
use std::time::Duration;

use esm_core::Result;
use esm_core::id::{ObjectId, ObjectName};
use futures::TryStreamExt as _;
use serde::Deserialize;

use crate::cache::Load;
use crate::source::Source;

/// Names that a search reads.
const LOOKED_AT: u64 = 20_000;
/// Objects that it finds.
pub(crate) const FOUND: usize = 100;

/// What is searched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub(crate) struct ObjectQuery {
    /// An object, or the beginning of one, or of a key.
    pub(crate) q: String,
}

/// Objects that were found.
#[derive(Debug)]
pub(crate) struct ObjectList {
    /// Sorted.
    pub(crate) objects: Vec<ObjectId>,
    /// Number of names that the search has read.
    pub(crate) looked_at: u64,
    /// Whether there are more names.
    pub(crate) is_cut: bool,
    /// Whether the text is an object.
    pub(crate) exact: Option<ObjectId>,
}

/// Searches objects.
#[derive(Debug)]
pub(crate) struct ObjectListLoad {
    pub(crate) source: Arc<Source>,
    pub(crate) query: ObjectQuery,
}

impl ObjectListLoad {
    async fn exact(&self) -> Result<Option<ObjectId>> {
        let Ok(object) = self.query.q.trim().parse::<ObjectId>() else {
            return Ok(None);
        };
        let found = self.source.reader().documents().find(&object).await?;
        Ok(found.map(|_| object))
    }

    /// The name of the objects that can fit, if the text has one.
    fn name(&self) -> Option<ObjectName> {
        let (name, _) = self.query.q.trim().split_once('/')?;
        ObjectName::new(name).ok()
    }

    fn fits(&self, object: &ObjectId) -> bool {
        let text = self.query.q.trim();
        object.to_string().starts_with(text) || object.key().as_str().starts_with(text)
    }
}

impl Load for ObjectListLoad {
    type Value = ObjectList;

    const FRESH: Duration = Duration::from_secs(10);

    async fn load(&mut self) -> Result<ObjectList> {
        let exact = self.exact().await?;
        let reader = self.source.reader();
        let mut names = reader.documents().objects(self.name());
        let (mut objects, mut looked_at, mut is_cut) = (Vec::new(), 0, false);
        while let Some(object) = names.try_next().await? {
            if looked_at == LOOKED_AT || objects.len() == FOUND {
                is_cut = true;
                break;
            }
            looked_at += 1;
            if self.fits(&object) {
                objects.push(object);
            }
        }
        objects.sort();
        Ok(ObjectList {
            objects,
            looked_at,
            is_cut,
            exact,
        })
    }
}
