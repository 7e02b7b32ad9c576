//! The library's backup service on a session's stores, with a progress display.

use std::sync::Arc;

use esm_core::backup::BackupService;
use esm_core::store::BackupProvider;

use crate::progress::Progress;
use crate::session::Session;

/// The service for the session's objects and the given backups. It stops at a safe point on an
/// interrupt.
pub(crate) fn service(
    session: &Session,
    backups: &Arc<dyn BackupProvider>,
    progress: &Progress,
) -> BackupService {
    let shown = progress.clone();
    without_progress(session, backups).with_progress(|options| {
        options.on_progress(move |p| {
            shown.total(p.events_total);
            shown.at(p.events);
        })
    })
}

/// As [`service`], for work that needs no display.
pub(crate) fn without_progress(
    session: &Session,
    backups: &Arc<dyn BackupProvider>,
) -> BackupService {
    BackupService::new(
        session.stores().clone(),
        Arc::clone(session.records()),
        Arc::clone(backups),
    )
    .with_environment(session.environment().clone())
    .cancel_on(session.interrupt().token().clone())
}
