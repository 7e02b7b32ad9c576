//! What is not proven is left as it is, to the byte.

use std::sync::Arc;
use std::time::Duration;

use esm_core::backup::{RestoreOptions, RestoreTarget};
use esm_core::doctor::{Doctor, Finding, FindingKind, Observed, Subject};
use esm_core::event::Revision;
use esm_core::id::{HolderId, LockName, ObjectId, StreamId, StreamRef};
use esm_core::migration::Scope;
use esm_core::protocol::routing::PublishPhases;
use esm_core::repair::{Offer, Outcome, Repair};
use esm_core::store::{
    Append, BackupProvider as _, CellKind, EventStore as _, LockAttempt, LockProvider as _,
    LockRequest, RecordKey, Records as _, RecordsExt as _, Stores, Tail,
};
use esm_testkit::faults::{At, Fault, FaultPlan};
use esm_testkit::memory::{MemoryInventory, MemoryWorld};

use super::scene::{Case, Scene, mend_all};
use crate::world::{event, stalled_at};

async fn orphan(scene: &Scene) -> Finding {
    let found = scene.findings().await;
    let is_orphan = |finding: &Finding| finding.kind == FindingKind::OrphanedTarget;
    found.into_iter().find(is_orphan).unwrap()
}

/// Leaves the finding, with this reason, and the storage as it is but for locks.
async fn leaves(scene: &Scene, finding: &Finding, why: &str) {
    let before = scene.world.everything();
    let repair = scene.repair(&FaultPlan::new().actor("repair"));
    let mended = repair.mend(finding).await.unwrap();
    assert_eq!(mended.outcome, Outcome::Left, "{mended:?}");
    assert!(mended.what.contains(why), "{mended:?}");
    assert_eq!(scene.world.everything(), before);
    assert!(scene.archives().is_empty());
}

/// Locks keep nobody from anything here, and a held one means that somebody is at work.
#[tokio::test(start_paused = true)]
async fn a_finding_of_an_object_whose_lock_is_held_is_left_and_no_lock_is_taken() {
    let scene = Scene::new(Case::OrphanedTarget).await;
    let finding = orphan(&scene).await;
    let locks = &scene.storage().locks;
    let name = LockName::new("object order/1").unwrap();
    let request = LockRequest {
        holder: HolderId::new("at-work").unwrap(),
        lease: Duration::from_secs(60),
        migration: None,
        at: scene.storage().environment.clock.now(),
        process: None,
    };
    let LockAttempt::Acquired(held) = locks.try_acquire(&name, &request).await.unwrap() else {
        panic!("it is free")
    };
    leaves(&scene, &finding, "at-work holds the lock of order/1").await;
    locks.break_lock(&name, held.token).await.unwrap();
    let before = locks.inspect(&name).await.unwrap();
    let repair = scene.repair(&FaultPlan::new().actor("repair"));
    let mended = repair.mend(&finding).await.unwrap();
    assert_eq!(mended.outcome, Outcome::Mended, "{mended:?}");
    assert_eq!(locks.inspect(&name).await.unwrap(), before);
}

/// A Fence in the place of a lost cell would keep the cell from being put back.
#[tokio::test(start_paused = true)]
async fn a_source_that_has_less_than_its_document_says_is_not_fenced() {
    let scene = Scene::whole().await;
    scene.migrate().await;
    let source = scene.world.active(scene.order()).await.stream;
    let second = At::Named("event_store.append", 1);
    scene
        .crash(second, Fault::CrashBefore, PublishPhases::Never)
        .await;
    let finding = orphan(&scene).await;
    scene.storage().event_store.lose_from(&source, 2);
    leaves(&scene, &finding, "lost its last events").await;
}

/// Of a lossy migration, the target of the way back may be all that is left of the originals.
#[tokio::test(start_paused = true)]
async fn a_target_of_a_way_back_is_left_while_its_originals_are_not_whole() {
    let scene = Scene::whole().await;
    let source = StreamId::first(scene.order());
    scene.migrate().await;
    let migration = scene.world.migration().await.unwrap();
    scene.crash_on_the_way_back(migration).await;
    let finding = orphan(&scene).await;
    let dry = scene.repair(&FaultPlan::new().actor("dry")).dry_run();
    assert_eq!(
        dry.mend(&finding).await.unwrap().outcome,
        Outcome::WouldMend
    );
    scene.storage().event_store.lose_from(&source, 4);
    leaves(&scene, &finding, "is not whole").await;
}

/// A copier that sleeps may write to its target until it meets the Fence.
#[tokio::test(start_paused = true)]
async fn what_is_appended_to_a_target_while_it_is_copied_is_copied_too() {
    let scene = Scene::whole().await;
    let second = At::Named("event_store.append", 1);
    scene
        .crash(second, Fault::CrashBefore, PublishPhases::Never)
        .await;
    let finding = orphan(&scene).await;
    let (plan, gate) = stalled_at(At::Named("backups.create", 0));
    let repair = scene.repair(&plan.actor("repair"));
    let repairing = tokio::spawn(async move { repair.mend(&finding).await });
    gate.reached().await;
    let store = &scene.storage().event_store;
    let source = store.snapshot(&StreamId::first(scene.order()));
    let events: Vec<_> = source.into_iter().flat_map(|cell| cell.events).collect();
    let append = Append {
        commit: scene.storage().environment.commit_id(),
        origin: None,
        cursor: Some(Revision(4)),
        events: events[2..4].to_vec(),
    };
    let tail = store.tail(&scene.target()).await.unwrap();
    let target = scene.target();
    store.append(&target, &tail, append).await.unwrap();
    gate.open();
    let mended = repairing.await.unwrap().unwrap();
    assert_eq!(mended.outcome, Outcome::Mended, "{mended:?}");
    assert!(store.snapshot(&target).is_empty());
    let archive = mended.copy.unwrap();
    let manifest = scene.storage().backups.manifest(&archive).await.unwrap();
    assert_eq!(manifest.events, Revision(4).0);
    assert_eq!(manifest.settings.tags["stream"], target.to_string());
}

#[tokio::test(start_paused = true)]
async fn files_of_a_backup_that_are_put_back_in_time_stay() {
    let scene = Scene::new(Case::BackupWithoutFiles).await;
    let finding = scene.findings().await.remove(0);
    let backups = &scene.storage().backups;
    let backup = backups.ids().remove(0);
    let (plan, gate) = stalled_at(At::Named("backups.delete_manifest", 0));
    let repair = scene.repair(&plan.actor("repair"));
    let repairing = tokio::spawn(async move { repair.mend(&finding).await });
    gate.reached().await;
    assert!(backups.put_files_back(&backup));
    gate.open();
    let mended = repairing.await.unwrap().unwrap();
    assert_eq!(mended.outcome, Outcome::Nothing, "{mended:?}");
    assert!(backups.has_files(&backup).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_target_that_an_application_wrote_to_is_left() {
    let scene = Scene::new(Case::OrphanedTarget).await;
    let finding = orphan(&scene).await;
    let storage = scene.storage();
    storage
        .append_cell(&scene.target(), vec![event("theirs")])
        .await
        .unwrap();
    leaves(&scene, &finding, "no migration wrote its cell").await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_has_more_than_its_source_is_left() {
    let scene = Scene::new(Case::OrphanedTarget).await;
    let finding = orphan(&scene).await;
    let source = StreamId::first(scene.order());
    scene.storage().event_store.lose_from(&source, 4);
    leaves(&scene, &finding, "complete for 5 events, its source has 4").await;
}

#[tokio::test(start_paused = true)]
async fn a_target_whose_source_has_deleted_events_is_left() {
    let scene = Scene::new(Case::OrphanedTarget).await;
    let finding = orphan(&scene).await;
    let source = StreamId::first(scene.order());
    assert!(scene.storage().event_store.bury(&source, 1));
    leaves(&scene, &finding, "were deleted").await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_a_document_names_is_left_though_the_close_is_lost() {
    let scene = Scene::whole().await;
    let migrate = scene.world.migrate(scene.order()).cells(2, 1 << 20);
    assert!(migrate.execute().await.unwrap().is_success());
    let active = scene.world.active(scene.order()).await;
    let source = StreamId::first(scene.order());
    scene.storage().event_store.lose_from(&source, 5);
    // a finding from before the document was written
    let other = Scene::new(Case::OrphanedTarget).await;
    let mut finding = orphan(&other).await;
    finding.subject = Subject::Stream(active);
    leaves(&scene, &finding, "names it").await;
    // and the same where the document is an older one
    let document = RecordKey::Document(scene.order().clone());
    scene.storage().records.lose_from(&document, 1);
    leaves(&scene, &finding, "a Close may be lost").await;
    // and where it is lost
    scene.storage().records.lose_from(&document, 0);
    leaves(&scene, &finding, "is missing").await;
}

#[tokio::test(start_paused = true)]
async fn of_a_target_that_is_gone_nothing_is_mended_and_nothing_left() {
    for case in [Case::OrphanedTarget, Case::FencedTarget] {
        let scene = Scene::new(case).await;
        let finding = scene.findings().await.remove(0);
        assert_eq!(finding.kind, case.kinds()[0]);
        let store = &scene.storage().event_store;
        store.discard(&scene.target()).await.unwrap();
        let before = scene.world.everything();
        let repair = scene.repair(&FaultPlan::new().actor("repair"));
        for repair in [repair.clone().dry_run(), repair] {
            let mended = repair.mend(&finding).await.unwrap();
            assert_eq!(mended.outcome, Outcome::Nothing, "{case:?}: {mended:?}");
        }
        assert_eq!(scene.world.everything(), before, "{case:?}");
        assert!(scene.archives().is_empty(), "{case:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_target_of_a_migration_that_can_be_resumed_is_left() {
    let scene = Scene::whole().await;
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashBefore);
    let actor = plan.actor("crashed");
    let migrate = scene.world.unlocked(&actor).migrate(scene.order().clone());
    assert!(actor.run(migrate.execute()).await.is_err());
    let found = scene.kinds().await;
    assert_eq!(found, [FindingKind::UnfinishedMigration]);
    let other = Scene::new(Case::OrphanedTarget).await;
    let mut finding = orphan(&other).await;
    let home = scene.storage().event_store.id();
    let target = StreamRef::new(home, scene.target());
    finding.subject = Subject::Stream(target);
    leaves(&scene, &finding, "is not over").await;
}

/// A newer version of esm can continue what this one cannot read.
#[tokio::test(start_paused = true)]
async fn the_target_of_a_migration_of_a_newer_version_is_left() {
    let scene = Scene::new(Case::OrphanedTarget).await;
    let finding = orphan(&scene).await;
    let target = scene.target();
    let first = scene.storage().event_store.snapshot(&target).remove(0);
    let migration = first.header.origin().unwrap().migration;
    let key = RecordKey::Journal(migration);
    let newer = r#"{"format":999}"#.into();
    scene.storage().records.put(&key, 0, newer).await.unwrap();
    leaves(&scene, &finding, "is not over").await;
    let found = scene.kinds().await;
    assert_eq!(found, [FindingKind::DamagedJournal]);
}

/// Clocks that are days apart decide nothing.
#[tokio::test(start_paused = true)]
async fn a_lock_that_was_not_renewed_for_days_by_the_wall_clocks_is_left() {
    let scene = Scene::whole().await;
    let environment = &scene.storage().environment;
    let request = LockRequest {
        holder: HolderId::new("slow-clock").unwrap(),
        lease: Duration::from_secs(600),
        migration: None,
        at: environment.clock.now() - jiff::SignedDuration::from_hours(72),
        process: None,
    };
    let name = LockName::new("object order/1").unwrap();
    let locks = &scene.storage().locks;
    locks.try_acquire(&name, &request).await.unwrap();
    let found = scene.findings().await;
    assert_eq!(found[0].kind, FindingKind::DeadLock);
    let repair = scene.repair(&FaultPlan::new().actor("repair"));
    let mended = mend_all(&repair, &found).await.remove(0).unwrap();
    assert_eq!(mended.outcome, Outcome::Left, "{mended:?}");
    let lock = locks.inspect(&name).await.unwrap().unwrap();
    assert!(lock.held && lock.holder == request.holder, "{lock:?}");
}

/// A restore writes the document of a new object after its Close, with what the backup has of it.
#[tokio::test(start_paused = true)]
async fn the_document_of_an_object_that_is_being_restored_is_left_to_the_restore() {
    let scene = Scene::whole().await;
    let document = scene.world.document(scene.order()).await;
    let mut changed = document.clone();
    changed.extra.insert("owner".to_owned(), "team-a".into());
    let key = RecordKey::Document(scene.order().clone());

    scene
        .storage()
        .records
        .put_as(&key, 1, &changed)
        .await
        .unwrap();
    let backup = scene.world.back_up(&[scene.order()]).await;
    let copy: ObjectId = "copy/1".parse().unwrap();
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashAfter);
    let actor = plan.actor("restore");
    let target = RestoreTarget::NewObject(copy.clone());
    let service = actor.backup_service(scene.storage());
    let restore = service.restore(
        &backup,
        scene.order(),
        target.clone(),
        RestoreOptions::new(),
    );
    assert!(actor.run(restore).await.is_err());

    let found = scene.findings().await;
    let kinds: Vec<_> = found.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [FindingKind::MissingDocument]);
    leaves(&scene, &found[0], "repeat it").await;

    let service = scene.world.backups();
    let again = service.restore(&backup, scene.order(), target, RestoreOptions::new());
    again.await.unwrap();
    let restored = scene.world.document(&copy).await;
    assert_eq!(restored.extra["owner"], "team-a");
    assert!(scene.findings().await.is_empty());
}

/// What somebody may be at work on, or put back, is mended only if it is named.
#[test]
fn what_is_not_safe_must_be_named() {
    for (kind, offer) in [
        (FindingKind::StreamWithoutDocument, Some(Offer::Named)),
        (FindingKind::BackupWithoutFiles, Some(Offer::Named)),
        (FindingKind::MissingDocument, Some(Offer::Safe)),
        (FindingKind::UnfinishedMigration, None),
        (FindingKind::UnfinishedRestore, None),
        (FindingKind::UnfinishedBackup, None),
        (FindingKind::DamagedStream, None),
    ] {
        assert_eq!(Repair::offers(kind), offer, "{kind}");
    }
}

/// Nobody can tell from an append that the target is a copy: not its cursor, but its first cell does.
#[tokio::test(start_paused = true)]
async fn a_first_cell_of_another_stream_proves_nothing() {
    let scene = Scene::new(Case::OrphanedTarget).await;
    let mut finding = orphan(&scene).await;
    let store = &scene.storage().event_store;
    let first = store.snapshot(&scene.target()).remove(0);
    let CellKind::Data { origin, cursor } = first.header.kind else {
        panic!("{first:?}")
    };
    let other = StreamId::new("order-1-v2.0011223344556677").unwrap();
    let append = Append {
        commit: first.header.commit,
        origin,
        cursor,
        events: first.events,
    };
    store
        .append(&other, &Tail::default(), append)
        .await
        .unwrap();
    let stream = StreamRef::new(store.id(), other);
    finding.subject = Subject::Stream(stream);
    leaves(&scene, &finding, "that of another stream").await;
}

/// A store that is the target of another store's migration, and has an object of the same name. The
/// journal is in the other store.
#[tokio::test(start_paused = true)]
async fn the_target_of_another_stores_migration_is_left() {
    let scene = Scene::whole().await;
    let (home, order) = (scene.storage(), scene.order());
    let other = MemoryWorld::new(home.environment.clone());
    other
        .create_object(order, [vec![event("theirs")]])
        .await
        .unwrap();
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashBefore);
    let actor = plan.actor("crashed");
    let migrate = scene.world.unlocked(&actor).migrate(order.clone());
    let migrate = migrate.to_store(other.event_store()).execute();
    assert!(actor.run(migrate).await.is_err());
    let migration = scene.world.migration().await.unwrap();

    let stores = Stores::new(other.event_store()).with(home.event_store());
    let doctor = Doctor::new(stores.clone(), other.records(), other.locks())
        .with_inventory(Arc::new(MemoryInventory::new(&other)));
    let mut found = Vec::new();
    let observer = |observed| {
        if let Observed::Finding(finding) = observed {
            found.push(finding);
        }
    };
    doctor.examine(&Scope::All, observer).await.unwrap();
    assert!(found.is_empty(), "{found:?}");

    let streams = other.event_store.stream_ids();
    let target = streams.into_iter().find(|id| *id != StreamId::first(order));
    let mut finding = orphan(&Scene::new(Case::OrphanedTarget).await).await;
    finding.subject = Subject::Stream(StreamRef::new(other.event_store.id(), target.unwrap()));
    let repair = Repair::new(stores, other.records(), other.locks());
    let repair = repair.with_backups(other.backups());
    let mended = repair.mend(&finding).await.unwrap();
    assert_eq!(mended.outcome, Outcome::Left, "{mended:?}");
    assert!(mended.what.contains("no stream of order/1"), "{mended:?}");

    let resume = scene.world.service.resume(migration);
    let ended = resume.to_store(other.event_store()).execute().await;
    assert!(ended.unwrap().is_success());
}
