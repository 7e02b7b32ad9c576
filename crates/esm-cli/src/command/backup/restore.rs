//! `esm backup restore`

use esm_core::Result;
use esm_core::id::{BackupId, ObjectId, ObjectName};
use serde::Serialize;

use super::Place;
use crate::args;
use crate::backup::{self, Names, Restored};
use crate::exit::Exit;
use crate::output::count;
use crate::progress::Unit;
use crate::session::{Access, Session};

/// Restore objects of a backup as new objects; never onto a stream that lives.
///
/// A restored object appears when it is complete and compared with the backup. A restore that was
/// interrupted is run again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup restore ID --as order/123-restored        # the only object of the backup
  esm backup restore ID --object order/123 --as order/123-restored
  esm backup restore ID --as-name restored             # all, as restored/…
  esm backup restore ID --backup URL --store NEW       # all, as they were, into a new store")]
pub(crate) struct Restore {
    /// The backup.
    id: BackupId,
    #[command(flatten)]
    place: Place,
    /// Only this object; may be given several times.
    #[arg(long = "object", value_name = "OBJECT", value_parser = args::object)]
    objects: Vec<ObjectId>,
    /// The new object.
    #[arg(long = "as", value_name = "OBJECT", value_parser = args::object)]
    #[arg(conflicts_with = "as_name")]
    as_object: Option<ObjectId>,
    /// The name of the new objects; their keys stay.
    #[arg(long, value_name = "NAME")]
    as_name: Option<ObjectName>,
}

#[derive(Debug, Serialize)]
struct Shown {
    backup: BackupId,
    objects: u64,
    events: u64,
}

impl Restore {
    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = session
            .backups_at(self.place.address.as_deref(), Access::Read)
            .await?;
        let names = match (&self.as_object, &self.as_name) {
            (Some(object), _) => Names::Only(object.clone()),
            (None, Some(name)) => Names::Named(name.clone()),
            (None, None) => Names::Same,
        };
        let progress = session.progress("restore", Unit::Events, None);
        let objects = &self.objects;
        let restored =
            backup::restore(session, &backups, &self.id, objects, &names, &progress).await;
        progress.end();
        let Restored { objects, events } = restored?;
        let shown = Shown {
            backup: self.id.clone(),
            objects,
            events,
        };
        session.output().result(&shown, |s, _| {
            format!(
                "restored {} events of {} objects",
                count(s.events),
                count(s.objects)
            )
        })?;
        Ok(Exit::Success)
    }
}
