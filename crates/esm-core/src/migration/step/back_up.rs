//! Step 2: writes a backup and reads it back before the migration continues.

use std::sync::Arc;

use futures::stream;

pub(crate) use crate::backup::Subject;
use crate::backup::{fresh_id, write_verified};
use crate::cutover::meter::Phase;
use crate::error::Result;
use crate::migration::context::Context;
use crate::protocol::status::Step;
use crate::store::{BackupDraft, BackupHandle, BackupKind, BackupProvider, BackupSettings};

/// Writes one backup of several streams, verifies it by reading it back, and returns its handle.
///
/// # Errors
/// `Corrupt` when the backup differs from what was written; those of store and provider.
pub(crate) async fn back_up(
    context: &Context,
    provider: &Arc<dyn BackupProvider>,
    kind: BackupKind,
    settings: &BackupSettings,
    subjects: &[Subject],
) -> Result<BackupHandle> {
    let (step, phase) = match kind {
        BackupKind::Archive => (Step::CloseBooks, Phase::Archive),
        BackupKind::Backup => (Step::BackUp, Phase::BackUp),
    };
    context.live.reporter.update(|p| p.step = step);
    let now = context.services.environment.clock.now();
    let migration = Some(context.migration());
    let draft = BackupDraft {
        // named by migration and attempt
        id: fresh_id(&context.services.environment, kind, now, migration)?,
        kind,
        migration,
        created_at: now,
        settings: settings.clone(),
    };
    let meter = &context.live.meter;
    meter.work().start_backup(phase, meter.now());
    let subjects = stream::iter(subjects.iter().cloned().map(Ok));
    let manifest = write_verified(
        &**provider,
        draft,
        &context.services.stores,
        subjects,
        context.live.steering.settings().concurrency,
        context,
    )
    .await?;
    Ok(manifest.handle(provider.name()))
}
