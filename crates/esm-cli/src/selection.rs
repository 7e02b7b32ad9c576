//! Which objects a command works on.

use esm_core::Result;
use esm_core::id::{ObjectId, ObjectName};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::args;
use crate::session::Session;
use crate::sorted::Sorted;

/// Objects, all of a name, or all.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "selection", required = true, multiple = false)]
pub(crate) struct Selection {
    /// The objects, name/key.
    #[arg(value_name = "OBJECT", value_parser = args::object, group = "selection")]
    pub(crate) objects: Vec<ObjectId>,
    /// All objects of this name (`order` of `order/123`).
    #[arg(long, value_name = "NAME", group = "selection")]
    pub(crate) name: Option<ObjectName>,
    /// All objects of the store.
    #[arg(long, group = "selection")]
    pub(crate) all: bool,
}

/// Objects, as they come.
pub(crate) type Objects<'a> = BoxStream<'a, Result<ObjectId>>;

impl Selection {
    /// The objects that were named, or as the store lists them: in constant memory.
    pub(crate) fn listed<'a>(&self, session: &'a Session) -> Objects<'a> {
        match self.objects.is_empty() {
            true => session.documents().objects(self.name.clone()),
            false => futures::stream::iter(self.objects.clone().into_iter().map(Ok)).boxed(),
        }
    }

    /// The objects that were named, or all in the order of their names: in few bytes each.
    ///
    /// # Errors
    /// What listing fails with; `Cancelled`.
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
