//! Locks with real leases, in real time: what the conformance suite cannot ask for.

use std::sync::Arc;
use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::clock::Environment;
use esm_core::id::{FencingToken, HolderId, LockName};
use esm_core::migration::{HeldLock, LockDemand, LockOptions};
use esm_core::store::{LockAttempt, LockGrant, LockProvider, LockRequest};

use crate::place::Place;

const SHORTEST: Duration = Duration::from_secs(15);

fn name() -> LockName {
    LockName::new("order/7").unwrap()
}

fn request(lease: Duration) -> LockRequest {
    LockRequest {
        holder: HolderId::new("somebody").unwrap(),
        lease,
        migration: None,
        at: Environment::system().clock.now(),
        process: None,
    }
}

async fn acquire(locks: &dyn LockProvider, lease: Duration) -> LockGrant {
    match locks.try_acquire(&name(), &request(lease)).await.unwrap() {
        LockAttempt::Acquired(grant) => grant,
        LockAttempt::Held(info) => panic!("held: {info:?}"),
    }
}

#[tokio::test]
async fn what_the_service_does_not_grant_is_refused_before_it_is_asked() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let locks = place.store().await.locks();
    place.requests();
    for lease in [Duration::from_secs(14), Duration::from_secs(61)] {
        let error = locks
            .try_acquire(&name(), &request(lease))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Invalid, "{lease:?}");
        assert!(error.hint().is_some());
    }
    assert_eq!(place.requests(), [""; 0]);
}

#[tokio::test]
async fn a_lease_without_end_is_held_until_it_is_given_back_or_broken() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let locks = place.store().await.locks();
    let grant = acquire(&*locks, Duration::MAX).await;
    locks.renew(&grant).await.unwrap();
    let seen = locks.inspect(&name()).await.unwrap().unwrap();
    assert!(seen.held && seen.token == FencingToken(0), "{seen:?}");
    locks.release(&grant).await.unwrap();
    let grant = acquire(&*locks, Duration::MAX).await;
    locks.break_lock(&name(), grant.token).await.unwrap();
    let error = locks.renew(&grant).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::LockLost);
}

/// A holder that was frozen beyond its lease continues if nobody took the lock meanwhile, and finds
/// out if somebody did.
#[tokio::test]
async fn a_frozen_holder_goes_on_only_if_nobody_took_over() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let (one, two) = (place.store().await.locks(), place.store().await.locks());
    let clock = Environment::system().clock;
    let grant = acquire(&*one, SHORTEST).await;
    clock.sleep(SHORTEST + Duration::from_millis(500)).await;
    let seen = two.inspect(&name()).await.unwrap().unwrap();
    assert!(!seen.held, "{seen:?}");
    one.renew(&grant).await.unwrap();
    assert!(two.inspect(&name()).await.unwrap().unwrap().held);

    clock.sleep(SHORTEST + Duration::from_millis(500)).await;
    let next = acquire(&*two, SHORTEST).await;
    assert_eq!(next.token, FencingToken(1));
    let error = one.renew(&grant).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::LockLost);
    one.release(&grant).await.unwrap();
    two.renew(&next).await.unwrap();
}

/// The heartbeat keeps a lock over several leases; who holds it learns of its loss by itself.
#[tokio::test]
async fn a_heartbeat_holds_a_lock_until_it_is_broken() {
    let Some(place) = Place::fresh().await else {
        return;
    };
    let locks = place.store().await.locks();
    let demand = LockDemand {
        name: name(),
        holder: HolderId::new("somebody").unwrap(),
        migration: None,
        options: LockOptions {
            lease: SHORTEST,
            heartbeat: Duration::from_secs(2),
            ..LockOptions::default()
        },
    };
    let environment = Environment::system();
    let held = HeldLock::acquire(Arc::clone(&locks), &environment, demand)
        .await
        .unwrap();
    environment
        .clock
        .sleep(SHORTEST + Duration::from_secs(3))
        .await;
    held.ensure_held().unwrap();
    let operator = place.store().await.locks();
    assert_eq!(operator.list().await.unwrap().len(), 1);
    operator.break_lock(&name(), held.token()).await.unwrap();
    held.lost().cancelled().await;
    let error = held.ensure_held().unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::LockLost);
    assert_eq!(operator.list().await.unwrap(), []);
}
