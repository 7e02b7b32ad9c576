//! Holding a lock: when it counts as lost, and how long it is waited for.

use std::sync::Arc;
use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::clock::Environment;
use esm_core::migration::{HeldLock, LockDemand, LockOptions};
use esm_core::store::{LockAttempt, LockProvider, LockRequest};
use esm_testkit::environment;
use esm_testkit::faults::{At, Fault, FaultPlan, Gate};
use esm_testkit::memory::MemoryLocks;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

struct Process {
    environment: Environment,
    stored: MemoryLocks,
    plan: FaultPlan,
}

impl Process {
    fn new() -> Self {
        let environment = environment(7);
        Self {
            stored: MemoryLocks::new(Arc::clone(&environment.clock)),
            plan: FaultPlan::new(),
            environment,
        }
    }

    fn locks(&self) -> Arc<dyn LockProvider> {
        self.plan
            .actor("holder")
            .locks(Arc::new(self.stored.clone()))
    }

    fn demand(options: LockOptions) -> LockDemand {
        LockDemand {
            name: "order".parse().unwrap(),
            holder: "holder".parse().unwrap(),
            migration: None,
            options,
        }
    }

    /// Acquires the lock. By default its lease is 60 seconds, renewed every 10.
    async fn acquire(&self, options: LockOptions) -> esm_core::Result<HeldLock> {
        HeldLock::acquire(self.locks(), &self.environment, Self::demand(options)).await
    }

    async fn pass(&self, time: Duration) {
        self.environment.clock.sleep(time).await;
    }

    /// Another takes the lock, with this lease, and never renews it.
    async fn taken_by_another(&self, lease: Duration) {
        let demand = Self::demand(LockOptions::default());
        let request = LockRequest {
            holder: "another".parse().unwrap(),
            lease,
            migration: None,
            at: self.environment.clock.now(),
            process: None,
        };
        let taken = self.stored.try_acquire(&demand.name, &request).await;
        assert!(matches!(taken, Ok(LockAttempt::Acquired(_))), "{taken:?}");
    }

    fn now(&self) -> Duration {
        self.environment.clock.monotonic()
    }
}

fn is_lost(held: &HeldLock) -> bool {
    let answer = held.ensure_held();
    answer.is_err_and(|error| *error.kind() == ErrorKind::LockLost)
}

/// Three quarters of a lease: the rest is for a write that is under way.
#[tokio::test(start_paused = true)]
async fn it_is_lost_three_quarters_of_a_lease_after_the_last_renewal() {
    let process = Process::new();
    // the first two renewals succeed: the last was sent after 20 seconds
    for renewal in 2..40 {
        let at = At::Named("locks.renew", renewal);
        process.plan.inject(at, Fault::FailBefore);
    }
    let held = process.acquire(LockOptions::default()).await.unwrap();
    process.pass(65 * SECOND - MILLISECOND).await;
    assert!(!is_lost(&held) && !held.lost().is_cancelled());
    process.pass(MILLISECOND).await;
    assert!(is_lost(&held), "a caller learns it at once");
    assert!(held.lost().is_cancelled());
}

/// By itself, so that a caller that waits for something else learns it.
#[tokio::test(start_paused = true)]
async fn who_does_not_ask_is_told_at_the_next_renewal() {
    let process = Process::new();
    let renewals = At::Each("locks.renew");
    process.plan.inject(renewals, Fault::FailBefore);
    let held = process.acquire(LockOptions::default()).await.unwrap();
    let begun = process.now();
    held.lost().cancelled().await;
    assert_eq!(process.now() - begun, 46 * SECOND);
}

/// Two that take too long leave enough of the lease for others.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_failed_is_repeated_soon() {
    let process = Process::new();
    for renewal in 0..2 {
        let slow = Fault::Delay(11 * SECOND);
        process.plan.inject(At::Named("locks.renew", renewal), slow);
    }
    let held = process.acquire(LockOptions::default()).await.unwrap();
    // sent after 10, 22 and 34 seconds
    process.pass(34 * SECOND + 45 * SECOND - MILLISECOND).await;
    assert!(!is_lost(&held));
}

/// A renewal counts from when it was sent, not from when its answer came.
#[tokio::test(start_paused = true)]
async fn a_slow_answer_prolongs_nothing() {
    let process = Process::new();
    let slow = Fault::Delay(8 * SECOND);
    process.plan.inject(At::Named("locks.renew", 0), slow);
    for renewal in 1..40 {
        let at = At::Named("locks.renew", renewal);
        process.plan.inject(at, Fault::FailBefore);
    }
    let held = process.acquire(LockOptions::default()).await.unwrap();
    process.pass(55 * SECOND - MILLISECOND).await;
    assert!(!is_lost(&held));
    process.pass(MILLISECOND).await;
    assert!(is_lost(&held));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_hangs_does_not_outlive_the_lease() {
    let process = Process::new();
    let hangs = Fault::Stall(Gate::new());
    process.plan.inject(At::Each("locks.renew"), hangs);
    let held = process.acquire(LockOptions::default()).await.unwrap();
    let begun = process.now();
    held.lost().cancelled().await;
    assert!(process.now() - begun < 61 * SECOND);
    assert!(is_lost(&held));
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_taken_away_is_lost_with_the_next_renewal() {
    let process = Process::new();
    let held = process.acquire(LockOptions::default()).await.unwrap();
    let name = Process::demand(LockOptions::default()).name;
    process
        .stored
        .break_lock(&name, held.token())
        .await
        .unwrap();
    let begun = process.now();
    held.lost().cancelled().await;
    assert_eq!(process.now() - begun, 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_another_holds_is_waited_for_as_long_as_was_said() {
    let process = Process::new();
    process.taken_by_another(60 * SECOND).await;
    let begun = process.now();
    let error = process.acquire(LockOptions::default()).await.unwrap_err();
    assert_eq!(process.now(), begun, "by default nothing waits for it");
    for part in ["another", "order", "60 s"] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    let patient = LockOptions::default().timeout(20 * SECOND);
    let error = process.acquire(patient).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::LockHeld(_)), "{error}");
    assert_eq!(process.now() - begun, 20 * SECOND);
    // polled every second: the lease ends after 60
    let patient = LockOptions::default().timeout(60 * SECOND);
    process.acquire(patient).await.unwrap();
    assert_eq!(process.now() - begun, 60 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_is_asked_again_until_then() {
    let process = Process::new();
    let asked = At::Each("locks.try_acquire");
    process.plan.inject(asked, Fault::FailBefore);
    let error = process.acquire(LockOptions::default()).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("order"), "{error}");
    let begun = process.now();
    let patient = LockOptions::default().timeout(5 * SECOND);
    assert!(process.acquire(patient).await.is_err());
    let waited = process.now() - begun;
    assert!((5 * SECOND..6 * SECOND).contains(&waited), "{waited:?}");
    let asked = process.plan.log().operations().len();
    assert!(asked > 10, "{asked}");
}

/// A released lock is renewed no more: the next holder's lease is its own.
#[tokio::test(start_paused = true)]
async fn what_is_given_back_is_free_at_once() {
    let process = Process::new();
    let held = process.acquire(LockOptions::default()).await.unwrap();
    let first = held.token();
    held.release().await.unwrap();
    let next = process.acquire(LockOptions::default()).await.unwrap();
    assert!(next.token() > first);
    process.pass(120 * SECOND).await;
    assert!(!is_lost(&next));
}
