//! The library's migration service, and the progress display of a run.

use std::sync::Arc;

use esm_core::Result;
use esm_core::id::HolderId;
use esm_core::migration::{MigrationService, Progress as RunProgress, ProgressOptions};
use esm_core::store::Stores;

use super::run_progress::run_figures;
use crate::progress::{Progress, Unit};
use crate::session::Session;

/// The service on the session's stores.
///
/// # Errors
/// Those of [`MigrationService::new`].
pub(crate) fn service(session: &Session) -> Result<MigrationService> {
    service_over(session, session.stores().clone())
}

/// The service on these stores.
///
/// # Errors
/// As [`service`].
pub(super) fn service_over(session: &Session, stores: Stores) -> Result<MigrationService> {
    let service = MigrationService::new(
        stores,
        Arc::clone(session.records()),
        Arc::clone(session.locks()),
    );
    Ok(service
        .with_backups(session.backups())
        .with_environment(session.environment().clone())
        .with_holder(holder(session)?))
}

/// `user@host`: the author of commands.
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

/// `user@host:pid:nonce`: the holder of locks.
pub(crate) fn holder(session: &Session) -> Result<HolderId> {
    let nonce = session.environment().uuid_v4().simple().to_string();
    let text = format!("{}:{}:{}", author(), std::process::id(), &nonce[..8]);
    // user and host may contain characters that a holder's name must not
    HolderId::new(&text).or_else(|_| HolderId::new(format!("process {}", std::process::id())))
}

/// Displays the progress of a run, in events.
pub(crate) fn watched(session: &Session, what: &'static str) -> (Watch, ProgressOptions) {
    let watch = Watch(session.progress(what, Unit::Events, None));
    let seen = watch.clone();
    let options = ProgressOptions::default().on_progress(move |run| seen.show(run));
    (watch, options)
}

/// The progress display of a run.
#[derive(Debug, Clone)]
pub(crate) struct Watch(Progress);

impl Watch {
    fn show(&self, run: &RunProgress) {
        self.0.show(run_figures(run));
    }

    /// Removes the display.
    pub(crate) fn end(&self) {
        self.0.end();
    }
}
