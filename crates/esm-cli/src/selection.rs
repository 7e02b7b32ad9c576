//! The objects that a command works on.

use esm_core::id::{ObjectId, ObjectName};
use esm_core::migration::{MigrationBuilder, MigrationService, Scope};
use esm_core::{Error, Result};
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

    /// The objects, for the library.
    pub(crate) fn scope(&self) -> Scope {
        match &self.name {
            Some(name) => Scope::Name(name.clone()),
            None if self.all => Scope::All,
            None => Scope::Objects(self.objects.clone()),
        }
    }

    /// Returns whether all objects of the store are meant.
    pub(crate) fn is_all(&self) -> bool {
        self.all
    }

    /// Checks that the name is that of an object.
    ///
    /// # Errors
    /// `NotFound` if no object has the name; those of listing the objects.
    pub(crate) async fn ensure_found(&self, session: &Session) -> Result<()> {
        let Some(name) = &self.name else {
            return Ok(());
        };
        let mut objects = session.documents().objects(Some(name.clone()));
        if objects.try_next().await?.is_some() {
            return Ok(());
        }
        Err(Error::not_found(format!("no object has the name: {name}"))
            .with_hint("list the objects of this store with `esm list`"))
    }

    /// Returns whether an object is among them.
    pub(crate) fn includes(&self, object: &ObjectId) -> bool {
        match &self.name {
            Some(name) => object.name() == name,
            None => self.all || self.objects.contains(object),
        }
    }

    /// The named objects in the given order, or those of the store in listing order. Uses constant
    /// memory.
    ///
    /// # Errors
    /// Those of [`ensure_found`](Self::ensure_found).
    pub(crate) async fn listed<'a>(&self, session: &'a Session) -> Result<Objects<'a>> {
        self.ensure_found(session).await?;
        Ok(if self.objects.is_empty() {
            session.documents().objects(self.name.clone())
        } else {
            futures::stream::iter(self.objects.clone().into_iter().map(Ok)).boxed()
        })
    }

    /// The named objects in the given order, or those of the store sorted by name. Uses a few bytes
    /// of memory per object.
    ///
    /// # Errors
    /// Those of [`listed`](Self::listed); `Cancelled`.
    pub(crate) async fn sorted<'a>(&self, session: &'a Session) -> Result<Objects<'a>> {
        let mut listed = self.listed(session).await?;
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
