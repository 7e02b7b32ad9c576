//! Storages in which a doctor finds something, and processes that repair them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use esm_core::doctor::{Depth, Doctor, Finding, FindingKind, Observed};
use esm_core::id::{BackupId, HolderId, LockName, MigrationId, ObjectId, StreamId};
use esm_core::migration::{MigrationBuilder, Scope};
use esm_core::protocol::routing::PublishPhases;
use esm_core::repair::{Mended, Repair};
use esm_core::store::{
    HolderProcess, LockProvider, LockRequest, ProcessAwareLocks, Processes, RecordKey,
};
use esm_core::{ErrorKind, Result};
use esm_testkit::faults::{Actor, At, Fault, FaultPlan};
use esm_testkit::ids;
use esm_testkit::memory::{MemoryInventory, MemoryWorld};
use esm_testkit::observe::Observer;

use crate::world::{World, unfinished};

/// Something that a doctor finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// A copier was paused before its first write, until after its migration was undone.
    FencedTarget,
    /// Another migration was first, and the one that was late has lost its journal.
    SupersededTarget,
    /// A migration crashed before its Close and lost its journal.
    OrphanedTarget,
    /// The document is one from before the cutover.
    DocumentBehind,
    /// The document of a migrated object is lost.
    MissingDocument,
    /// The document of an object that was never migrated is lost.
    StreamWithoutDocument,
    /// A process has ended while it held a lock.
    DeadLock,
    /// Only the manifest of a backup is left.
    BackupWithoutFiles,
    /// A migration crashed after its Close and lost its journal.
    ClosedWithoutJournal,
}

impl Case {
    pub(super) const ALL: [Self; 9] = [
        Self::FencedTarget,
        Self::SupersededTarget,
        Self::OrphanedTarget,
        Self::DocumentBehind,
        Self::MissingDocument,
        Self::StreamWithoutDocument,
        Self::DeadLock,
        Self::BackupWithoutFiles,
        Self::ClosedWithoutJournal,
    ];

    /// What a doctor finds, sorted.
    pub(super) fn kinds(self) -> Vec<FindingKind> {
        match self {
            Self::FencedTarget => vec![FindingKind::FencedTarget],
            Self::SupersededTarget => vec![FindingKind::SupersededTarget],
            Self::OrphanedTarget => vec![
                FindingKind::OrphanedTarget,
                FindingKind::IndexLeftover,
                FindingKind::PhaseLeftover,
            ],
            Self::DocumentBehind => vec![FindingKind::DocumentBehind],
            Self::MissingDocument => vec![FindingKind::MissingDocument],
            Self::StreamWithoutDocument => vec![FindingKind::StreamWithoutDocument],
            Self::DeadLock => vec![FindingKind::DeadLock],
            Self::BackupWithoutFiles => vec![FindingKind::BackupWithoutFiles],
            Self::ClosedWithoutJournal => vec![
                FindingKind::DocumentBehind,
                FindingKind::IndexLeftover,
                FindingKind::PhaseLeftover,
            ],
        }
    }

    /// Whether the object cannot be read before it is mended.
    pub(super) fn hides_the_object(self) -> bool {
        matches!(self, Self::MissingDocument | Self::StreamWithoutDocument)
    }
}

pub(super) const CLOSE: At = At::Named("event_store.close", 0);

/// A storage, and the events that its objects have.
pub(super) struct Scene {
    pub(super) case: Case,
    pub(super) world: World,
    events: BTreeMap<ObjectId, Vec<String>>,
}

/// Every process that said where it runs has ended.
#[derive(Debug)]
struct Ended;

impl Processes for Ended {
    fn current(&self) -> Option<HolderProcess> {
        None
    }

    fn has_ended(&self, _process: &HolderProcess) -> bool {
        true
    }
}

impl Scene {
    pub(super) async fn new(case: Case) -> Self {
        let scene = Self {
            case,
            ..Self::whole().await
        };
        scene.damage().await;
        scene
    }

    /// Nothing is to be mended yet.
    pub(super) async fn whole() -> Self {
        let order = &["A", "B", "C", "D", "E"];
        let world = World::with(&[("order/1", order), ("order/2", &["A"])]).await;
        let mut scene = Self {
            case: Case::DocumentBehind,
            world,
            events: BTreeMap::new(),
        };
        for object in ["order/1", "order/2"] {
            let object: ObjectId = object.parse().unwrap();
            let events = ids(&scene.storage().read(&object).await.unwrap());
            scene.events.insert(object, events);
        }
        scene
    }

    pub(super) fn storage(&self) -> &MemoryWorld {
        &self.world.storage
    }

    pub(super) fn order(&self) -> &ObjectId {
        &self.world.order
    }

    /// The target of the only attempt.
    pub(super) fn target(&self) -> StreamId {
        let streams = self.storage().event_store.stream_ids();
        let is_target = |id: &StreamId| id.as_str().starts_with("order-1-v");
        streams.into_iter().find(is_target).unwrap()
    }

    async fn damage(&self) {
        let records = &self.storage().records;
        let document = RecordKey::Document(self.order().clone());
        match self.case {
            Case::FencedTarget => self.write_late().await,
            Case::SupersededTarget => {
                self.crash(CLOSE, Fault::CrashBefore, PublishPhases::Never)
                    .await;
                self.migrate().await;
            }
            Case::OrphanedTarget => {
                self.crash(CLOSE, Fault::CrashBefore, PublishPhases::Always)
                    .await;
            }
            Case::ClosedWithoutJournal => {
                self.crash(CLOSE, Fault::CrashAfter, PublishPhases::Always)
                    .await;
            }
            Case::DocumentBehind => {
                self.migrate().await;
                records.lose_from(&document, 1);
            }
            Case::MissingDocument => {
                self.migrate().await;
                records.lose_from(&document, 0);
            }
            Case::StreamWithoutDocument => records.lose_from(&document, 0),
            Case::DeadLock => self.leave_lock().await,
            Case::BackupWithoutFiles => {
                let backup = self.world.back_up(&[self.order()]).await;
                assert!(self.storage().backups.lose_files(&backup));
            }
        }
    }

    fn copying(&self, builder: MigrationBuilder) -> MigrationBuilder {
        builder.cells(2, 1 << 20)
    }

    pub(super) async fn migrate(&self) {
        let migrate = self.copying(self.world.migrate(self.order()));
        assert!(migrate.execute().await.unwrap().is_success());
    }

    /// A migration that crashed here and lost its journal.
    pub(super) async fn crash(&self, at: At, fault: Fault, phases: PublishPhases) {
        let plan = FaultPlan::new().with(at, fault);
        let actor = plan.actor("crashed");
        let service = self.world.unlocked(&actor);
        let migrate = self.copying(service.migrate(self.order().clone()).again());
        let crashed = actor.run(migrate.phases(phases).execute()).await;
        assert!(crashed.is_err());
        self.lose_unfinished().await;
    }

    /// A migration back that copied everything, crashed before its Close and lost its journal.
    pub(super) async fn crash_on_the_way_back(&self, migration: MigrationId) {
        let plan = FaultPlan::new().with(CLOSE, Fault::CrashBefore);
        let actor = plan.actor("crashed");
        let back = self.world.unlocked(&actor).roll_back(migration);
        assert!(actor.run(back.execute()).await.is_err());
        self.lose_unfinished().await;
    }

    /// The migration that was interrupted loses its journal.
    async fn lose_unfinished(&self) {
        let unfinished = unfinished(&self.world.service).await.unwrap();
        self.lose_journal(unfinished.migration);
    }

    pub(super) fn lose_journal(&self, migration: MigrationId) {
        let records = &self.storage().records;
        for key in [
            RecordKey::Journal(migration),
            RecordKey::Progress(migration),
            RecordKey::Control(migration),
        ] {
            records.lose_from(&key, 0);
        }
    }

    /// A copier that writes the first cell of its target after another has undone its migration.
    async fn write_late(&self) {
        let (plan, gate) = crate::world::stalled_at(At::Named("event_store.append", 0));
        let actor = plan.actor("paused");
        let service = self.world.unlocked(&actor);
        let paused = self.copying(service.migrate(self.order().clone()));
        let paused = paused.phases(PublishPhases::Never);
        let paused = tokio::spawn(async move { actor.run(paused.execute()).await });
        gate.reached().await;
        // it would find its Fence, and remove the target again
        plan.inject(At::Operation(plan.log().len()), Fault::CrashBefore);
        let migration = self.world.migration().await.unwrap();
        let other = FaultPlan::new().actor("other");
        let undone = self.world.unlocked(&other).roll_back(migration);
        undone.execute().await.unwrap();
        gate.open();
        assert!(paused.await.unwrap().is_err());
        assert!(plan.violations().is_empty());
    }

    /// A lock of a process that has ended.
    async fn leave_lock(&self) {
        let clock = &self.storage().environment.clock;
        let request = LockRequest {
            holder: HolderId::new("ended").unwrap(),
            lease: Duration::from_secs(60),
            migration: None,
            at: clock.now(),
            process: Some(HolderProcess {
                boot: "boot".to_owned(),
                namespace: "pid".to_owned(),
                pid: 7,
                started: 1,
            }),
        };
        let name = LockName::new("object order/1").unwrap();
        let locks = self.storage().locks();
        locks.try_acquire(&name, &request).await.unwrap();
    }

    fn locks(&self) -> Arc<dyn LockProvider> {
        Arc::new(ProcessAwareLocks::new(self.storage().locks(), Ended))
    }

    /// A process that repairs.
    pub(super) fn repair(&self, actor: &Actor) -> Repair {
        self.repair_with(actor, self.locks())
    }

    /// A process that repairs, and that no lock keeps from anything, unless locks are what it mends.
    pub(super) fn unlocked_repair(&self, actor: &Actor) -> Repair {
        if self.case == Case::DeadLock {
            return self.repair(actor);
        }
        let own = self.storage().with_own_locks().locks();
        self.repair_with(actor, own)
    }

    fn repair_with(&self, actor: &Actor, locks: Arc<dyn LockProvider>) -> Repair {
        let storage = self.storage();
        let store = actor.event_store(storage.event_store());
        let records = actor.records(storage.records());
        Repair::new(store, records, actor.locks(locks))
            .with_backups(actor.backups(storage.backups()))
            .with_environment(storage.environment.clone())
    }

    /// Checks the invariants after each call. It knows objects that have a document.
    pub(super) fn observer(&self) -> Observer {
        let objects = self.events.keys().cloned();
        let is_known = |object: &ObjectId| !self.case.hides_the_object() || object != self.order();
        let objects: Vec<_> = objects.filter(is_known).collect();
        self.world.observer(&objects, [])
    }

    /// What the doctor finds, in the order in which it is mended.
    pub(super) async fn findings(&self) -> Vec<Finding> {
        let storage = self.storage();
        let doctor = Doctor::new(storage.event_store(), storage.records(), self.locks())
            .with_backups(storage.backups())
            .with_inventory(Arc::new(MemoryInventory::new(storage)))
            .with_environment(storage.environment.clone())
            .with_depth(Depth::Deep);
        let mut findings = Vec::new();
        let observer = |observed| {
            if let Observed::Finding(finding) = observed {
                findings.push(*finding);
            }
        };
        doctor.examine(&Scope::All, observer).await.unwrap();
        findings.sort_by(|a, b| {
            (a.severity, a.kind, &a.subject).cmp(&(b.severity, b.kind, &b.subject))
        });
        findings
    }

    pub(super) async fn kinds(&self) -> Vec<FindingKind> {
        self.findings().await.iter().map(|f| f.kind).collect()
    }

    /// Repairs what a process that was not disturbed finds, after all leases have ended, until nothing
    /// is found.
    pub(super) async fn mend_the_rest(&self, place: &str) {
        self.world.let_time_pass(61_000).await;
        let actor = self.world.plan.actor("rest");
        for mended in mend_all(&self.repair(&actor), &self.findings().await).await {
            mended.unwrap_or_else(|e| panic!("{place}: {e:?}"));
        }
        let found = self.findings().await;
        assert!(found.is_empty(), "{place}: {found:?}");
        self.assert_whole(place).await;
        for object in self.events.keys() {
            assert_eq!(
                &self.read(object).await.unwrap(),
                &self.events[object],
                "{place}"
            );
        }
    }

    /// Nothing is lost, mended or not.
    pub(super) async fn assert_whole(&self, place: &str) {
        for (object, events) in &self.events {
            match self.read(object).await {
                Ok(found) => assert_eq!(&found, events, "{place}: {object}"),
                Err(error) => {
                    let is_hidden = self.case.hides_the_object() && object == self.order();
                    let is_right = is_hidden && *error.kind() == ErrorKind::NotFound;
                    assert!(is_right, "{place}: {object}: {error:?}");
                }
            }
        }
    }

    async fn read(&self, object: &ObjectId) -> Result<Vec<String>> {
        self.storage().read(object).await.map(|events| ids(&events))
    }

    /// An application has appended this.
    pub(super) fn appended(&mut self, object: &ObjectId, id: &str) {
        self.events.get_mut(object).unwrap().push(id.to_owned());
    }

    /// The archives with what was removed.
    pub(super) fn archives(&self) -> Vec<BackupId> {
        let mut archives = self.storage().backups.ids();
        archives.retain(|id| id.as_str().starts_with("archive-"));
        archives
    }
}

/// Mends the findings one after the other, whether or not one fails.
pub(super) async fn mend_all(repair: &Repair, findings: &[Finding]) -> Vec<Result<Mended>> {
    let mut all = Vec::new();
    for finding in findings {
        if Repair::offers(finding.kind).is_some() {
            all.push(repair.mend(finding).await);
        }
    }
    all
}
