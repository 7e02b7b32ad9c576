//! What a sweep migrates, and how.

use std::fmt;
use std::sync::Arc;

use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::migration::MigrationBuilder;
use esm_core::transform::{EventTransformer, Identity};

type Describe = Arc<dyn Fn(MigrationBuilder) -> MigrationBuilder + Send + Sync>;

/// What a sweep migrates, and how.
#[derive(Clone)]
pub struct Scenario {
    pub(super) objects: Vec<(ObjectId, Vec<Vec<Event>>)>,
    pub(super) transformer: Arc<dyn EventTransformer>,
    pub(super) describe: Describe,
    pub(super) undone_after: Option<&'static str>,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects = self
            .objects
            .iter()
            .map(|(object, cells)| (object, cells.len()));
        f.debug_map().entries(objects).finish()
    }
}

impl Scenario {
    /// The migration of this object, whose stream has these cells.
    pub fn new(object: ObjectId, cells: Vec<Vec<Event>>) -> Self {
        Self {
            objects: vec![(object, cells)],
            transformer: Arc::new(Identity),
            describe: Arc::new(|builder| builder),
            undone_after: None,
        }
    }

    /// Another object, migrated together with the others.
    #[must_use]
    pub fn and(mut self, object: ObjectId, cells: Vec<Vec<Event>>) -> Self {
        self.objects.push((object, cells));
        self
    }

    /// By this transformation; events stay as they are unless told.
    #[must_use]
    pub fn transform(mut self, transformer: impl EventTransformer) -> Self {
        self.transformer = Arc::new(transformer);
        self
    }

    /// With these options.
    #[must_use]
    pub fn describe(
        mut self,
        describe: impl Fn(MigrationBuilder) -> MigrationBuilder + Send + Sync + 'static,
    ) -> Self {
        self.describe = Arc::new(describe);
        self
    }

    /// Not the migration is swept but its undo: an earlier process crashed after its first operation
    /// of this name, such as `event_store.append`.
    #[must_use]
    pub fn undone_after(mut self, operation: &'static str) -> Self {
        self.undone_after = Some(operation);
        self
    }
}
