//! Migrations, and what operators do beside them.

use anyhow::{Result, ensure};
use esm_core::backup::{BackupOptions, BackupService, RestoreOptions, RestoreTarget};
use esm_core::event::{Event, Schema};
use esm_core::id::EventType;
use esm_core::migration::{HookPoint, Hooks, MigrationBuilder};
use esm_core::protocol::plan::Scope;
use esm_core::transform::{FunctionTransformer, TransformContext, Transformed};
use futures::TryStreamExt as _;

use super::super::lab::{Lab, Measured, Shares};
use super::{Long, Many};
use crate::world::{World, check};

/// Events of each small stream.
const EVENTS: u64 = 8;
/// Small streams that are rolled back.
const ROLLED_BACK: u64 = 256;
/// Small streams that are restored.
const RESTORED: u64 = 64;
/// Lanes of those, and of a listing, as the command line has them.
pub(super) const LANES: u64 = 16;
/// Events of the stream whose migration is stopped and resumed.
const RESUMED: u64 = 20_992;

/// Renames one type of events.
pub(super) fn renaming() -> Result<FunctionTransformer> {
    rename("rename", "NoteTaken", "NoteAdded")
}

fn rename(id: &str, from: &str, to: &str) -> Result<FunctionTransformer> {
    let (schema, renamed) = (Schema::new(from, 1)?, EventType::new(to)?);
    let rename = move |event: &Event, _: &TransformContext<'_>| {
        let mut event = event.clone();
        event.event_type = renamed.clone();
        Ok(Transformed::Events(vec![event]))
    };
    Ok(FunctionTransformer::new(id, 1, [schema], rename)?)
}

pub(super) fn migrate_all(world: &World, lanes: usize) -> Result<MigrationBuilder> {
    let migration = world.service.migrate_all().transform(renaming()?);
    Ok(migration.concurrency(lanes))
}

pub(super) async fn alone(lab: &Lab) -> Result<Measured> {
    let long = Long {
        events: EVENTS,
        transformed: true,
        backup: false,
    };
    self::long(lab, long).await
}

pub(super) async fn long(lab: &Lab, long: Long) -> Result<Measured> {
    let object = "order/0".parse()?;
    lab.actor().await?.fill(&object, long.events).await?;
    let migrator = lab.actor().await?.service;
    let mut migration = migrator.migrate(object);
    if long.transformed {
        migration = migration.transform(renaming()?);
    }
    if long.backup {
        migration = migration.backup(BackupOptions::new());
    }
    let watch = lab.watch();
    check(migration.execute().await?)?;
    Ok(watch.end(Shares::ONE))
}

pub(super) async fn many(lab: &Lab, many: Many) -> Result<Measured> {
    let Many {
        objects,
        lanes,
        backup,
    } = many;
    lab.actor().await?.fill_many(objects, EVENTS).await?;
    let migrator = lab.actor().await?;
    let mut migration = migrate_all(&migrator, lanes as usize)?;
    if backup {
        migration = migration.backup(BackupOptions::new());
    }
    let watch = lab.watch();
    check(migration.execute().await?)?;
    Ok(watch.end(Shares { objects, lanes }))
}

pub(super) async fn resume(lab: &Lab) -> Result<Measured> {
    let object = "order/0".parse()?;
    lab.actor().await?.fill(&object, RESUMED).await?;
    let stop = |_| async { Err("not now".to_owned()) };
    let hooks = Hooks::default().veto(HookPoint::BeforeCutover, "stop", stop);
    let migrator = lab.actor().await?.service;
    let migration = migrator.migrate(object).transform(renaming()?);
    let stopped = migration.hooks(hooks).execute().await?;
    ensure!(!stopped.is_success(), "it was not stopped");
    let operator = lab.actor().await?.service;
    let resumption = operator.resume(stopped.migration).transform(renaming()?);
    let watch = lab.watch();
    check(resumption.execute().await?)?;
    Ok(watch.end(Shares::ONE))
}

pub(super) async fn roll_back(lab: &Lab) -> Result<Measured> {
    lab.actor().await?.fill_many(ROLLED_BACK, EVENTS).await?;
    let migrator = lab.actor().await?;
    let migrated = check(migrate_all(&migrator, LANES as usize)?.execute().await?)?;
    let operator = lab.actor().await?.service;
    let rolling_back = (operator.roll_back(migrated.migration))
        .down(rename("rename back", "NoteAdded", "NoteTaken")?)
        .concurrency(LANES as usize);
    let watch = lab.watch();
    check(rolling_back.execute().await?)?;
    Ok(watch.end(Shares {
        objects: ROLLED_BACK,
        lanes: LANES,
    }))
}

pub(super) async fn restore(lab: &Lab) -> Result<Measured> {
    lab.actor().await?.fill_many(RESTORED, EVENTS).await?;
    let backup = backups(lab).await?;
    let manifest = backup.create(&Scope::All, BackupOptions::new()).await?;
    let operator = backups(lab).await?;
    let watch = lab.watch();
    let choose = |_: &_| Some(RestoreTarget::FreshStream);
    operator
        .restore_each(&manifest.id, choose, RestoreOptions::new())
        .await?;
    Ok(watch.end(Shares {
        objects: RESTORED,
        lanes: 1,
    }))
}

async fn backups(lab: &Lab) -> Result<BackupService> {
    let (store, environment) = lab.store(true).await?;
    let service = BackupService::new(store.event_store(), store.records(), store.backups());
    Ok(service.with_environment(environment))
}

pub(super) async fn status_of_many(lab: &Lab, objects: u64) -> Result<Measured> {
    lab.actor().await?.fill_many(objects, 1).await?;
    let migrator = lab.actor().await?;
    let migrated = check(migrate_all(&migrator, LANES as usize)?.execute().await?)?;
    let operator = lab.actor().await?.service;
    let watch = lab.watch();
    operator.status(migrated.migration).await?;
    Ok(watch.end(Shares::ONE))
}

pub(super) async fn list(lab: &Lab, objects: u64) -> Result<Measured> {
    lab.actor().await?.fill_many(objects, 1).await?;
    let client = lab.actor().await?.client;
    let reader = client.reader();
    let watch = lab.watch();
    let listed = (reader.documents().objects(None))
        .map_ok(|object| async move { reader.load(&object).await })
        .try_buffered(LANES as usize);
    let count = listed.try_fold(0, |count, _| async move { Ok(count + 1) });
    ensure!(count.await? == objects, "not all were listed");
    let lanes = LANES;
    Ok(watch.end(Shares { objects, lanes }))
}

pub(super) async fn status(lab: &Lab) -> Result<Measured> {
    let object = "order/0".parse()?;
    lab.actor().await?.fill(&object, EVENTS).await?;
    let migrator = lab.actor().await?.service;
    let migrated = migrator.migrate(object).transform(renaming()?);
    let migrated = check(migrated.execute().await?)?;
    let operator = lab.actor().await?.service;
    let watch = lab.watch();
    operator.status(migrated.migration).await?;
    Ok(watch.end(Shares::ONE))
}
