//! The backup service of the library, over a session's stores, telling a command's progress.

use std::sync::Arc;

use esm_core::backup::BackupService;
use esm_core::store::BackupProvider;

use crate::progress::Progress;
use crate::session::Session;

/// Works on the session's objects and these backups; stops at a safe point when it is interrupted.
pub(crate) fn service(
    session: &Session,
    backups: &Arc<dyn BackupProvider>,
    progress: &Progress,
) -> BackupService {
    let shown = progress.clone();
    BackupService::new(
        session.stores().clone(),
        Arc::clone(session.records()),
        Arc::clone(backups),
    )
    .with_environment(session.environment().clone())
    .cancel_on(session.interrupt().token().clone())
    .with_progress(|options| {
        options.on_progress(move |p| {
            shown.total(p.events_total);
            shown.at(p.events);
        })
    })
}
