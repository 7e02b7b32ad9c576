//! The library's service, and a run that is watched.

use std::sync::{Arc, Mutex, PoisonError};

use esm_core::Result;
use esm_core::id::HolderId;
use esm_core::migration::{MigrationService, Progress as Run, ProgressOptions};

use crate::output::count;
use crate::progress::{Progress, Unit};
use crate::session::Session;

/// The service on the session's store.
///
/// # Errors
/// None that a user can meet.
pub(crate) fn service(session: &Session) -> Result<MigrationService> {
    let service = MigrationService::new(
        session.stores().clone(),
        Arc::clone(session.records()),
        Arc::clone(session.locks()),
    )?;
    Ok(service
        .with_backups(session.backups())
        .with_environment(session.environment().clone())
        .with_holder(holder(session)?))
}

/// `user@host`, for people who wonder who gave a command.
pub(crate) fn author() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let user = variable("USER").or_else(|| variable("USERNAME"));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
        .or_else(|| variable("HOSTNAME"))
        .or_else(|| variable("COMPUTERNAME"));
    let user = user.unwrap_or_else(|| "user".to_owned());
    format!("{user}@{}", host.unwrap_or_else(|| "host".to_owned()))
}

/// `user@host:pid:nonce`, for people who wonder who holds a lock.
fn holder(session: &Session) -> Result<HolderId> {
    let nonce = session.environment().uuid_v4().simple().to_string();
    let text = format!("{}:{}:{}", author(), std::process::id(), &nonce[..8]);
    // names come from outside; what is no holder is replaced by what surely is one
    HolderId::new(&text).or_else(|_| HolderId::new(format!("process {}", std::process::id())))
}

/// Shows a run's progress: objects of many, events of one.
pub(crate) fn watched(session: &Session, what: &'static str) -> (Watch, ProgressOptions) {
    let watch = Watch {
        session: session.progress_settings(),
        what,
        shown: Arc::default(),
    };
    let seen = watch.clone();
    let options = ProgressOptions::default().on_progress(move |run| seen.show(run));
    (watch, options)
}

/// A run that is watched.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    session: crate::session::ProgressSettings,
    what: &'static str,
    shown: Arc<Mutex<Option<Progress>>>,
}

impl Watch {
    fn show(&self, run: &Run) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let single = run.objects_total == Some(1);
        let (unit, total, done) = match single {
            true => (Unit::Events, run.events_total, run.events_verified),
            false => (Unit::Objects, run.objects_total, run.objects_done),
        };
        let progress = shown.get_or_insert_with(|| self.session.progress(self.what, unit, total));
        progress.total(total);
        let mut about = format!(
            "{}: {} copied, {} verified",
            run.step,
            count(run.events_copied),
            count(run.events_verified)
        );
        if let Some(reason) = &run.throttled_by {
            about += &format!(", slowed down by {reason}");
        }
        if let Some(what) = &run.waiting_for {
            about += &format!(", waits for {what}");
        }
        progress.about(&about);
        progress.at(done);
    }

    /// Takes the progress away.
    pub(crate) fn end(&self) {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = &*shown {
            progress.end();
        }
    }
}
