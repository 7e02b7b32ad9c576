//! `esm backup restore`

use std::collections::HashSet;
use std::sync::Arc;

use esm_core::backup::{
    BackupService, RestoreFailure, RestoreOptions, RestoreTarget, RestoreUntil, RestoredAll,
};
use esm_core::event::Revision;
use esm_core::id::{BackupId, ObjectId, ObjectName};
use esm_core::migration::{HeldLock, LockDemand, LockOptions};
use esm_core::store::{BackupProvider, BackupSection};
use esm_core::{Error, ErrorKind, Result};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::Serialize;

use super::filter::Moment;
use super::place::BackupPlace;
use crate::args;
use crate::backup;
use crate::exit::Exit;
use crate::migration::{IdPart, holder};
use crate::output::{ErrorReport, Text, count, counted};
use crate::progress::Unit;
use crate::session::{Access, Session};

/// Restore objects of a backup as new objects, or into new streams.
///
/// Never writes to an existing stream. A restored object becomes visible when it is complete and
/// verified against the backup. Repeat the command to continue an interrupted restore.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm backup restore ID --as order/123-restored       # backup of one object
  esm backup restore ID --object order/123 --as order/123-restored
  esm backup restore ID --as-name restored            # all, as restored/…
  esm backup restore ID --object order/123 --replace  # as its new active stream
  esm backup restore ID --object order/123 --as order/123-then --until 41
  esm backup restore ID --backup URL --store NEW      # all, to another store
  esm backup restore ID --name order --keep-going     # as many as possible")]
pub(crate) struct Restore {
    /// Backup id, or at least 4 characters of its beginning or end.
    id: IdPart,
    #[command(flatten)]
    place: BackupPlace,
    /// Restore only this object. Repeatable; defaults to all objects of the backup.
    #[arg(long = "object", value_name = "OBJECT", value_parser = args::object)]
    objects: Vec<ObjectId>,
    /// Restore only objects of this name.
    #[arg(long, value_name = "NAME", conflicts_with = "objects")]
    name: Option<ObjectName>,
    /// Restore all objects of the backup: the default, for scripts that say so.
    #[arg(long, conflicts_with_all = ["objects", "name"])]
    all: bool,
    /// Continue with the other objects if one cannot be restored, and report those that were not.
    #[arg(long)]
    keep_going: bool,
    /// Restore the events up to this revision, or those before the first with a later time. Give a
    /// revision, which needs a single object, a time, or a duration before now.
    #[arg(long, value_name = "REVISION|TIME|DURATION")]
    until: Option<Until>,
    /// Restore as this new object.
    #[arg(long = "as", value_name = "OBJECT", value_parser = args::object)]
    #[arg(conflicts_with = "as_name")]
    as_object: Option<ObjectId>,
    /// Restore as new objects of this name, with unchanged keys.
    #[arg(long, value_name = "NAME")]
    as_name: Option<ObjectName>,
    /// Restore into a new stream of each existing object, and close its active stream. Events appended
    /// after the backup remain in the closed stream.
    #[arg(long, conflicts_with_all = ["as_object", "as_name"])]
    replace: bool,
}

/// The last event that is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Revision(Revision),
    Moment(Moment),
}

impl std::str::FromStr for Until {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(revision) = text.parse() {
            return Ok(Self::Revision(Revision(revision)));
        }
        text.parse().map(Self::Moment).map_err(|_| {
            Error::invalid(format!(
                "not a revision, a time or a duration, expected for example 41, \
                 2026-01-02T03:00:00Z or 7d: {text:?}"
            ))
        })
    }
}

impl Until {
    fn point(self, now: Timestamp) -> Result<RestoreUntil> {
        Ok(match self {
            Self::Revision(last) => RestoreUntil::Revision(last),
            Self::Moment(moment) => RestoreUntil::Time(moment.before(now)?),
        })
    }
}

#[derive(Debug, Serialize)]
struct Restored {
    backup: BackupId,
    objects: u64,
    /// Objects that an earlier run had restored.
    already: u64,
    events: u64,
    /// Events of replaced streams that came after what was restored.
    left_behind: u64,
    /// Objects that could not be restored.
    failed: u64,
    /// The first of them.
    failures: Vec<Failed>,
}

#[derive(Debug, Serialize)]
struct Failed {
    object: ObjectId,
    error: ErrorReport,
}

impl Restore {
    pub(super) async fn run(&self, session: &Session) -> Result<Exit> {
        let backups = self.place.open(session, Access::Read).await?;
        let id = self.id.backup(&*backups).await?;
        self.check(&*backups, &id).await?;
        let progress = session.progress("restore", Unit::Events, None);
        let service = backup::service(session, &backups, &progress);
        let restored = self.restore(session, &service, &id).await;
        progress.end();
        let restored = restored?;
        let first = restored
            .failures
            .first()
            .map(|failure| Exit::from(failure.error.kind()));
        let shown = Restored {
            backup: id,
            objects: restored.objects,
            already: restored.already,
            events: restored.events,
            left_behind: restored.left_behind,
            failed: restored.failed,
            failures: restored.failures.iter().map(Failed::new).collect(),
        };
        session.output().result(&shown, |s, _| text(s))?;
        Ok(first.unwrap_or(Exit::Success))
    }

    async fn restore(
        &self,
        session: &Session,
        service: &BackupService,
        id: &BackupId,
    ) -> Result<RestoredAll> {
        let choose = |section: &BackupSection| self.target(&section.object);
        let mut options = RestoreOptions::new();
        if self.keep_going {
            options = options.keep_going();
        }
        if let Some(until) = self.until {
            options = options.until(until.point(session.environment().clock.now())?);
        }
        // nothing is written, not even a lock, before all is checked
        let checked = service.check_restore(id, choose, options).await;
        checked.map_err(with_other_ways)?;
        let in_use = in_use(session, id).await?;
        let restored = service.restore_each(id, choose, options).await;
        if let Some(lock) = in_use {
            // a lock that stays behind expires
            let _ = lock.release().await;
        }
        restored.map_err(with_other_ways)
    }

    /// Checks that the backup contains every requested object, and that --as names only one object.
    async fn check(&self, backups: &dyn BackupProvider, id: &BackupId) -> Result<()> {
        let mut missing: HashSet<&ObjectId> = self.objects.iter().collect();
        let mut chosen = 0_u64;
        let mut sections = backups.sections(id);
        while let Some(section) = sections.try_next().await? {
            missing.remove(&section.object);
            chosen += u64::from(self.target(&section.object).is_some());
        }
        if let Some(object) = missing.into_iter().min() {
            let message = format!("object is not in backup {id}: {object}");
            return Err(Error::not_found(message));
        }
        if let (0, Some(name)) = (chosen, &self.name) {
            let message = format!("no object in backup {id} has the name: {name}");
            return Err(Error::not_found(message));
        }
        if self.as_object.is_some() && chosen > 1 {
            let message = format!("--as names one object, but the backup has several: {id}");
            return Err(Error::invalid(message)
                .with_hint("select one with --object, or restore all with --as-name"));
        }
        if matches!(self.until, Some(Until::Revision(_))) && chosen > 1 {
            let message = format!("--until of one revision for {chosen} objects of backup {id}");
            return Err(Error::invalid(message)
                .with_hint("select one with --object, or restore all until a time"));
        }
        Ok(())
    }

    /// The target of an object of the backup; `None` if it is not requested.
    fn target(&self, object: &ObjectId) -> Option<RestoreTarget> {
        let is_meant = match &self.name {
            Some(name) => object.name() == name,
            None => self.objects.is_empty() || self.objects.contains(object),
        };
        if !is_meant {
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

fn with_other_ways(error: Error) -> Error {
    match error.kind() {
        ErrorKind::AlreadyExists => error.with_hint(
            "restore it under another name with --as or --as-name, or replace its active stream \
             with --replace",
        ),
        _ => error,
    }
}

impl Failed {
    fn new(failure: &RestoreFailure) -> Self {
        Self {
            object: failure.object.clone(),
            error: ErrorReport::new(&failure.error),
        }
    }
}

/// Holds the lock that keeps the backup from being pruned meanwhile. Where another restore of it holds
/// it already, that one's will do.
async fn in_use(session: &Session, id: &BackupId) -> Result<Option<HeldLock>> {
    let demand = LockDemand {
        name: BackupService::lock_name(id)?,
        holder: holder(session)?,
        migration: None,
        options: LockOptions::default(),
    };
    let locks = Arc::clone(session.locks());
    match HeldLock::acquire(locks, session.environment(), demand).await {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if matches!(error.kind(), ErrorKind::LockHeld(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn text(shown: &Restored) -> Text {
    let failures = shown.failures.iter().map(|failed| failed.error.to_text());
    failures
        .fold(Text::default(), Text::and)
        .and(summary(shown))
}

fn summary(shown: &Restored) -> String {
    let mut text = format!(
        "restored {} of {}",
        counted(shown.events, "event"),
        counted(shown.objects, "object")
    );
    if shown.already > 0 {
        text += &format!("; {} of them already restored", count(shown.already));
    }
    if shown.left_behind > 0 {
        text += &format!(
            "; {} after what was restored remain in the closed streams",
            counted(shown.left_behind, "event")
        );
    }
    if shown.failed > 0 {
        text += &format!("; NOT RESTORED: {}", counted(shown.failed, "object"));
    }
    text
}
