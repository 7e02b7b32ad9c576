//! Restores: the objects are in memory, their backups in the tested provider.

use esm_core::ErrorKind;
use esm_core::backup::{BackupOptions, BackupService, RestoreOptions, RestoreTarget};
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{BackupId, ObjectId, StreamRef};
use esm_core::migration::Scope;

use crate::conformance::fixtures::{event, odd_events};
use crate::conformance::verdict::{ensure, ensure_eq, ensure_err};
use crate::conformance::{BackupHarness, Failure, Verdict};
use crate::memory::MemoryWorld;

/// An object that was backed up, and has changed since.
struct GoneOn<'a> {
    harness: &'a dyn BackupHarness,
    memory: MemoryWorld,
    object: ObjectId,
    stream: StreamRef,
    backup: BackupId,
    backed_up: Vec<Event>,
}

impl<'a> GoneOn<'a> {
    async fn new(harness: &'a dyn BackupHarness) -> Result<Self, Failure> {
        let memory = MemoryWorld::new(Environment::system());
        let (object, backed_up) = ("order/é 1".parse()?, odd_events()?);
        let stream = memory.create_object(&object, [backed_up.clone()]).await?;
        let gone_on = Self {
            harness,
            memory,
            object,
            stream,
            backup: BackupId::new("before")?,
            backed_up,
        };
        let options = BackupOptions::new().id(gone_on.backup.clone());
        let service = gone_on.service().await;
        service.create(&Scope::All, options).await?;
        let (stream, late) = (&gone_on.stream.stream, vec![event(1)?]);
        gone_on.memory.append_cell(stream, late).await?;
        Ok(gone_on)
    }

    /// A process that has just started.
    async fn service(&self) -> BackupService {
        let (events, records) = (self.memory.event_store(), self.memory.records());
        BackupService::new(events, records, self.harness.open().await)
    }
}

/// Guarantee 3, for its users: an object that has changed is restored. A repeated restore reads the
/// backup again, and finds that it is done.
pub async fn a_restore_brings_back_what_was_backed_up(harness: &dyn BackupHarness) -> Verdict {
    let gone_on = GoneOn::new(harness).await?;
    let service = gone_on.service().await;
    for already in [false, true] {
        let (object, target) = (&gone_on.object, RestoreTarget::FreshStream);
        let restored = service
            .restore(&gone_on.backup, object, target, RestoreOptions::new())
            .await?;
        ensure_eq!(
            restored.events,
            gone_on.backed_up.len() as u64,
            "number of events"
        );
        ensure_eq!(restored.already, already, "whether it was restored before");
    }
    let found = gone_on.memory.read(&gone_on.object).await?;
    ensure_eq!(found, gone_on.backed_up, "events of the object");
    let closed = gone_on.memory.close_of(&gone_on.stream.stream).is_some();
    ensure!(closed, "the stream that was replaced is open");
    Ok(())
}

/// Guarantee 3: where the backup has lost its end, the object stays as it is.
pub async fn a_damaged_backup_replaces_nothing(harness: &dyn BackupHarness) -> Verdict {
    let gone_on = GoneOn::new(harness).await?;
    if !harness.truncate(&gone_on.backup).await {
        crate::not_tested(
            "a restore from a damaged backup",
            "the harness cuts off no end",
        );
        return Ok(());
    }
    let (object, target) = (&gone_on.object, RestoreTarget::FreshStream);
    let service = gone_on.service().await;
    let answer = service
        .restore(&gone_on.backup, object, target, RestoreOptions::new())
        .await;
    ensure_err!(
        answer,
        ErrorKind::Corrupt,
        "a restore from a backup without its end"
    );
    let found = gone_on.memory.read(object).await?;
    ensure_eq!(
        found.len(),
        gone_on.backed_up.len() + 1,
        "events of the object"
    );
    let closed = gone_on.memory.close_of(&gone_on.stream.stream).is_some();
    ensure!(!closed, "a damaged backup has closed a stream");
    Ok(())
}
