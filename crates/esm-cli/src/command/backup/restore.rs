//! `esm backup restore`

use std::collections::HashSet;

use esm_core::backup::{BackupService, RestoreOptions, RestoreTarget, RestoredAll};
use esm_core::id::{BackupId, ObjectId, ObjectName};
use esm_core::{Error, ErrorKind, Result};
use futures::TryStreamExt as _;
use serde::Serialize;

use super::Place;
use crate::args;
use crate::backup;
use crate::exit::Exit;
use crate::output::count;
use crate::progress::Unit;
use crate::session::{Access, Session};

/// Restore objects of a backup as new objects, or into fresh streams; never onto a stream that lives.
///
/// A restored object appears when it is complete and compared with the backup. A restore that was
/// interrupted is run again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup restore ID --as order/123-restored        # the only object of the backup
  esm backup restore ID --object order/123 --as order/123-restored
  esm backup restore ID --as-name restored             # all, as restored/…
  esm backup restore ID --object order/123 --replace   # in the place of its active stream
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
    /// Into a fresh stream of each object that exists, in the place of its active one, which is
    /// closed and kept. Events that came after the backup stay in the closed stream.
    #[arg(long, conflicts_with_all = ["as_object", "as_name"])]
    replace: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    backup: BackupId,
    objects: u64,
    /// Of them, those that an earlier run had restored.
    already: u64,
    events: u64,
    /// Events of replaced streams that came after the backup.
    left_behind: u64,
}

impl Restore {
    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = session
            .backups_at(self.place.address.as_deref(), Access::Read)
            .await?;
        let progress = session.progress("restore", Unit::Events, None);
        let service = backup::service(session, &backups, &progress);
        let restored = self.restore(&service).await;
        progress.end();
        let restored = restored?;
        let shown = Shown {
            backup: self.id.clone(),
            objects: restored.objects,
            already: restored.already,
            events: restored.events,
            left_behind: restored.left_behind,
        };
        session.output().result(&shown, |s, _| text(s))?;
        Ok(Exit::Success)
    }

    async fn restore(&self, service: &BackupService) -> Result<RestoredAll> {
        self.check(service).await?;
        let options = RestoreOptions::new();
        service
            .restore_each(&self.id, |section| self.target(&section.object), options)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => error.with_hint(
                    "restore it under another name with --as or --as-name, or in the place of its \
                     active stream with --replace",
                ),
                _ => error,
            })
    }

    /// Whether every object that is asked for is in the backup, and one name stands for one.
    async fn check(&self, service: &BackupService) -> Result<()> {
        let mut missing: HashSet<&ObjectId> = self.objects.iter().collect();
        let mut chosen = 0_u64;
        let mut sections = service.sections(&self.id);
        while let Some((section, _)) = sections.try_next().await? {
            missing.remove(&section.object);
            chosen += u64::from(self.target(&section.object).is_some());
        }
        if let Some(object) = missing.into_iter().min() {
            let message = format!("object is not in backup {}: {object}", self.id);
            return Err(Error::not_found(message));
        }
        match self.as_object.is_some() && chosen > 1 {
            true => Err(Error::invalid(format!(
                "the backup holds several objects, and --as names one: {}",
                self.id
            ))
            .with_hint("say which with --object, or restore all with --as-name")),
            false => Ok(()),
        }
    }

    /// Where an object of the backup goes; nothing if it is not asked for.
    fn target(&self, object: &ObjectId) -> Option<RestoreTarget> {
        if !self.objects.is_empty() && !self.objects.contains(object) {
            return None;
        }
        if self.replace {
            return Some(RestoreTarget::FreshStream);
        }
        Some(RestoreTarget::NewObject(
            match (&self.as_object, &self.as_name) {
                (Some(new), _) => new.clone(),
                (None, Some(name)) => ObjectId::new(name.clone(), object.key().clone()),
                (None, None) => object.clone(),
            },
        ))
    }
}

fn text(shown: &Shown) -> String {
    let mut text = format!(
        "restored {} events of {} objects",
        count(shown.events),
        count(shown.objects)
    );
    if shown.already > 0 {
        text += &format!(
            "; {} of them had been restored before",
            count(shown.already)
        );
    }
    if shown.left_behind > 0 {
        text += &format!(
            "; {} events came after the backup and stay in the closed streams",
            count(shown.left_behind)
        );
    }
    text
}
