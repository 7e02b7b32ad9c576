//! Holders of locks that died: known at once on their machine, and after a lease anywhere else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use esm_core::clock::Environment;
use esm_core::id::LockName;
use esm_core::migration::{MigrationService, Reply};
use esm_core::protocol::control::Answer;
use esm_core::store::{
    HolderProcess, HolderState, LockAttempt, LockProvider, LockRequest, ProcessAwareLocks,
    Processes,
};
use esm_testkit::environment;
use esm_testkit::faults::{At, Fault, FaultPlan};
use esm_testkit::memory::MemoryLocks;

use crate::world::World;

const LEASE: Duration = Duration::from_secs(60);

/// Processes of one machine, of which some have ended.
#[derive(Debug, Clone, Default)]
struct Machine(Arc<Mutex<BTreeSet<u32>>>);

/// What a process of the machine knows.
#[derive(Debug)]
struct Seen {
    machine: Machine,
    boot: &'static str,
    pid: u32,
}

impl Processes for Seen {
    fn current(&self) -> Option<HolderProcess> {
        Some(HolderProcess {
            boot: self.boot.to_owned(),
            namespace: "pid".to_owned(),
            pid: self.pid,
            started: 1,
        })
    }

    fn has_ended(&self, process: &HolderProcess) -> bool {
        process.boot == self.boot && self.machine.0.lock().unwrap().contains(&process.pid)
    }
}

struct Locks {
    environment: Environment,
    stored: MemoryLocks,
    machine: Machine,
}

impl Locks {
    fn new() -> Self {
        let environment = environment(7);
        Self {
            stored: MemoryLocks::new(Arc::clone(&environment.clock)),
            machine: Machine::default(),
            environment,
        }
    }

    fn process(&self, boot: &'static str, pid: u32) -> ProcessAwareLocks {
        let machine = self.machine.clone();
        ProcessAwareLocks::new(Arc::new(self.stored.clone()), Seen { machine, boot, pid })
    }

    fn ends(&self, pid: u32) {
        self.machine.0.lock().unwrap().insert(pid);
    }

    async fn attempt(&self, locks: &ProcessAwareLocks) -> LockAttempt {
        let request = LockRequest {
            holder: "somebody".parse().unwrap(),
            lease: LEASE,
            migration: None,
            at: self.environment.clock.now(),
            process: None,
        };
        locks.try_acquire(&name(), &request).await.unwrap()
    }
}

fn name() -> LockName {
    "order".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_lock_of_a_process_that_ended_is_taken_over_at_once_on_its_machine_alone() {
    let world = Locks::new();
    let (one, two) = (world.process("here", 1), world.process("here", 2));
    let elsewhere = world.process("there", 2);
    let LockAttempt::Acquired(first) = world.attempt(&one).await else {
        panic!("a free lock is held");
    };
    assert!(
        matches!(world.attempt(&two).await, LockAttempt::Held(_)),
        "it is alive"
    );

    world.ends(1);
    let now = world.environment.clock.now();
    let seen = two.inspect(&name()).await.unwrap().unwrap();
    assert_eq!(
        (seen.held, seen.holder_state(now)),
        (false, HolderState::Dead)
    );
    assert!(two.list().await.unwrap().is_empty());
    // a process of that id on another machine, or after another boot, is another process
    let seen = elsewhere.inspect(&name()).await.unwrap().unwrap();
    assert_eq!(
        (seen.held, seen.holder_state(now)),
        (true, HolderState::Alive)
    );
    assert!(matches!(
        world.attempt(&elsewhere).await,
        LockAttempt::Held(_)
    ));

    let LockAttempt::Acquired(second) = world.attempt(&two).await else {
        panic!("the lock of a process that ended is held");
    };
    assert!(second.token > first.token);
    assert!(
        one.renew(&first).await.is_err(),
        "a holder that wakes up notices"
    );
    assert!(
        matches!(world.attempt(&two).await, LockAttempt::Held(_)),
        "it has a holder"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_holder_is_probably_dead_and_only_a_whole_lease_of_observation_frees_its_lock() {
    let world = Locks::new();
    let (one, elsewhere) = (world.process("here", 1), world.process("there", 1));
    let LockAttempt::Acquired(grant) = world.attempt(&one).await else {
        panic!("a free lock is held");
    };
    let clock = &world.environment.clock;
    clock.sleep(LEASE / 2).await;
    one.renew(&grant).await.unwrap();
    clock.sleep(LEASE / 2).await;
    let seen = elsewhere.inspect(&name()).await.unwrap().unwrap();
    assert_eq!(seen.silent_for(clock.now()), Some(LEASE / 2));
    assert_eq!(seen.holder_state(clock.now()), HolderState::Alive);
    let later = clock.now() + LEASE;
    assert_eq!(seen.holder_state(later), HolderState::ProbablyDead);
    assert!(seen.held, "wall clocks decide nothing");
}

/// A migration of the world that crashed, and still holds its lock.
async fn crashed(world: &World) -> esm_core::id::MigrationId {
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashBefore);
    let actor = plan.actor("migrator");
    let migrate = actor
        .migration_service(&world.storage)
        .migrate(world.order.clone());
    assert!(actor.run(migrate.execute()).await.is_err());
    world.migration().await.expect("it is planned")
}

async fn sent(service: &MigrationService, migration: esm_core::id::MigrationId) -> Reply {
    let control = service.control(migration);
    let resume = control.resume().await.unwrap();
    resume.reply(Duration::from_secs(3)).await.unwrap()
}

/// Longer than the patience of three seconds: the lease of 60 is observed to its end.
#[tokio::test(start_paused = true)]
async fn a_command_to_a_dead_holder_is_waited_for_until_its_lease_has_expired() {
    let world = World::with_order(&["A", "B"]).await;
    let migration = crashed(&world).await;
    world.service.control(migration).pause().await.unwrap();
    let clock = &world.storage.environment.clock;
    let begun = clock.monotonic();
    assert_eq!(sent(&world.service, migration).await, Reply::NoProcess);
    assert!(clock.monotonic() - begun <= LEASE + Duration::from_secs(1));
    let ended = world.service.resume(migration).execute().await.unwrap();
    assert!(ended.is_success(), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_command_to_a_holder_that_renews_its_lock_is_waited_for_no_longer_than_wanted() {
    let world = World::with_order(&["A", "B"]).await;
    let migration = crashed(&world).await;
    let info = world.service.status(migration).await.unwrap().lock.unwrap();
    let locks = world.storage.locks();
    let (clock, name) = (&world.storage.environment.clock, info.name.clone());
    let grant = esm_core::store::LockGrant {
        name: info.name,
        holder: info.holder,
        token: info.token,
        lease: info.lease,
        data: Default::default(),
    };
    let renewing = async {
        loop {
            locks.renew(&grant).await.unwrap();
            clock.sleep(Duration::from_secs(1)).await;
        }
    };
    let begun = clock.monotonic();
    let reply = tokio::select! {
        reply = sent(&world.service, migration) => reply,
        () = renewing => unreachable!("it renews without end"),
    };
    assert_eq!(reply, Reply::NoAnswer);
    assert!(clock.monotonic() - begun < Duration::from_secs(5));

    // the lock is released: no process will answer
    let token = locks.inspect(&name).await.unwrap().unwrap().token;
    locks.break_lock(&name, token).await.unwrap();
    assert_eq!(sent(&world.service, migration).await, Reply::NoProcess);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_a_migration_never_released_does_not_block_the_next_one() {
    let world = World::with_order(&["A", "B"]).await;
    let plan = FaultPlan::new().with(At::Each("locks.release"), Fault::FailBefore);
    let service = plan.actor("migrator").migration_service(&world.storage);
    let first = service
        .migrate(world.order.clone())
        .execute()
        .await
        .unwrap();
    assert!(first.is_success());
    let lock = world
        .service
        .status(first.migration)
        .await
        .unwrap()
        .lock
        .unwrap();
    assert!(lock.held, "the release did not arrive");
    let second = world.migrate(&world.order).again().execute().await.unwrap();
    assert!(second.is_success(), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answered_command_is_answered() {
    let world = World::with_order(&["A", "B"]).await;
    let migration = crashed(&world).await;
    let resume = world.service.control(migration).resume().await.unwrap();
    let ended = world.service.resume(migration).execute().await.unwrap();
    assert!(ended.is_success());
    let reply = resume.reply(Duration::ZERO).await.unwrap();
    assert!(
        matches!(reply, Reply::Answer(Answer::Refused { .. })),
        "{reply:?}"
    );
}
