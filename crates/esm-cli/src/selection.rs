//! The objects that a command works on.

use esm_core::Result;
use esm_core::id::{ObjectId, ObjectName};
use esm_core::migration::{MigrationBuilder, MigrationService};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::args;
use crate::session::Session;
use crate::sorted::Sorted;

/// Named objects, all objects of a name, or all objects.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "selection", required = true, multiple = false)]
pub(crate) struct Selection {
    /// Objects, as name/key.
    #[arg(value_name = "OBJECT", value_parser = args::object, group = "selection")]
    objects: Vec<ObjectId>,
    /// All objects of this name (`order` of `order/123`).
    #[arg(long, value_name = "NAME", group = "selection")]
    name: Option<ObjectName>,
    /// All objects of the store.
    #[arg(long, group = "selection")]
    all: bool,
}

/// A stream of objects.
pub(crate) type Objects<'a> = BoxStream<'a, Result<ObjectId>>;

impl Selection {
    /// These objects, or else all of a name, or else all objects.
    pub(crate) fn new(objects: Vec<ObjectId>, name: Option<ObjectName>, all: bool) -> Self {
        Self { objects, name, all }
    }

    /// Begins to describe the migration of the objects.
    pub(crate) fn migrate(&self, service: &MigrationService) -> MigrationBuilder {
        match &self.name {
            Some(name) => service.migrate_named(name.clone()),
            None if self.all => service.migrate_all(),
            None => service.migrate_many(self.objects.iter().cloned()),
        }
    }

    /// Returns whether all objects of the store are meant.
    pub(crate) fn is_all(&self) -> bool {
        self.all
    }

    /// The named objects in the given order, or those of the store in listing order. Uses constant
    /// memory.
    pub(crate) fn listed<'a>(&self, session: &'a Session) -> Objects<'a> {
        if self.objects.is_empty() {
            session.documents().objects(self.name.clone())
        } else {
            futures::stream::iter(self.objects.clone().into_iter().map(Ok)).boxed()
        }
    }

    /// The named objects in the given order, or those of the store sorted by name. Uses a few bytes
    /// of memory per object.
    ///
    /// # Errors
    /// Those of listing the objects; `Cancelled`.
    pub(crate) async fn sorted<'a>(&self, session: &'a Session) -> Result<Objects<'a>> {
        let mut listed = self.listed(session);
        if !self.objects.is_empty() {
            return Ok(listed);
        }
        let mut sorted = Sorted::default();
        while let Some(object) = listed.try_next().await? {
            session.interrupt().check()?;
            sorted.add(&object);
        }
        Ok(futures::stream::iter(sorted.into_objects()).boxed())
    }
}
