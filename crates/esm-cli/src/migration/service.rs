//! The library's migration service, and the progress display of a run.

use std::sync::{Arc, Mutex, PoisonError};

use esm_core::Result;
use esm_core::id::HolderId;
use esm_core::migration::{MigrationService, Progress as RunProgress, ProgressOptions};

use crate::output::count;
use crate::progress::{Progress, Unit};
use crate::session::{ProgressSettings, Session};

/// The service on the session's stores.
///
/// # Errors
/// Those of [`MigrationService::new`].
pub(crate) fn service(session: &Session) -> Result<MigrationService> {
    let service = MigrationService::new(
        session.stores().clone(),
        Arc::clone(session.records()),
        Arc::clone(session.locks()),
    );
    Ok(service
        .with_backups(session.backups())
        .with_environment(session.environment().clone())
        .with_holder(holder(session)?))
}

/// `user@host`: the author of commands.
pub(super) fn author() -> String {
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

/// `user@host:pid:nonce`: the holder of locks.
fn holder(session: &Session) -> Result<HolderId> {
    let nonce = session.environment().uuid_v4().simple().to_string();
    let text = format!("{}:{}:{}", author(), std::process::id(), &nonce[..8]);
    // user and host may contain characters that a holder's name must not
    HolderId::new(&text).or_else(|_| HolderId::new(format!("process {}", std::process::id())))
}

/// Displays the progress of a run: in objects, or in events if there is only one object.
pub(crate) fn watched(session: &Session, what: &'static str) -> (Watch, ProgressOptions) {
    let watch = Watch {
        settings: session.progress_settings(),
        what,
        display: Arc::default(),
    };
    let seen = watch.clone();
    let options = ProgressOptions::default().on_progress(move |run| seen.show(run));
    (watch, options)
}

/// The progress display of a run; it starts with the first update.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    settings: ProgressSettings,
    what: &'static str,
    display: Arc<Mutex<Option<Progress>>>,
}

impl Watch {
    fn show(&self, run: &RunProgress) {
        let mut display = self.display.lock().unwrap_or_else(PoisonError::into_inner);
        let (unit, total, done) = if run.objects_total == Some(1) {
            (Unit::Events, run.events_total, run.events_verified)
        } else {
            (Unit::Objects, run.objects_total, run.objects_done)
        };
        let progress =
            display.get_or_insert_with(|| self.settings.progress(self.what, unit, total));
        progress.total(total);
        let mut about = format!(
            "{}: {} copied, {} verified",
            run.step,
            count(run.events_copied),
            count(run.events_verified)
        );
        if let Some(reason) = &run.throttled_by {
            about += &format!(", throttled by {reason}");
        }
        if let Some(what) = &run.waiting_for {
            about += &format!(", waiting for {what}");
        }
        progress.about(&about);
        progress.at(done);
    }

    /// Removes the display.
    pub(crate) fn end(&self) {
        let display = self.display.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = &*display {
            progress.end();
        }
    }
}
