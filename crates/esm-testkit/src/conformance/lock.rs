//! The suite of lock providers: see [`lock_conformance!`](crate::lock_conformance).
//!
//! ```
//! # struct Mine(esm_testkit::memory::MemoryLocks, esm_testkit::SteppedClock);
//! # #[async_trait::async_trait]
//! # impl esm_testkit::conformance::LockHarness for Mine {
//! #     async fn open(&self) -> std::sync::Arc<dyn esm_core::store::LockProvider> {
//! #         std::sync::Arc::new(self.0.clone())
//! #     }
//! #     async fn pass(&self, duration: std::time::Duration) {
//! #         self.1.advance(duration);
//! #     }
//! # }
//! use esm_testkit::SteppedClock;
//! use esm_testkit::conformance::{lock, run_case};
//! use esm_testkit::memory::MemoryLocks;
//!
//! // `Mine` is a `LockHarness`: its documentation shows one
//! for case in lock::CASES {
//!     let clock = SteppedClock::new();
//!     let mine = Mine(MemoryLocks::new(std::sync::Arc::new(clock.clone())), clock);
//!     let verdict = run_case(async { (case.run)(&mine).await });
//!     verdict.unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
//! }
//! ```

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::clock::Environment;
use esm_core::id::{FencingToken, LockName};
use esm_core::store::{HolderProcess, LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};

use super::fixtures::{holder, migration, odd_names, present};
use super::race::race;
use super::verdict::{ensure, ensure_eq, ensure_err};
use super::{Failure, LockHarness, Verdict};

crate::__lock_cases!(__conformance_table!(dyn LockHarness));

/// The list of cases, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __lock_cases {
    ($then:ident!($($arguments:tt)*)) => {
        $crate::$then! { ($($arguments)*) [
            a_free_lock_is_acquired
            a_held_lock_is_not_acquired
            a_renewed_lock_stays_held
            an_expired_lock_is_taken_over
            a_loser_notices_its_loss
            a_released_lock_is_free
            a_release_by_a_non_holder_does_nothing
            tokens_grow
            one_of_many_acquires
            a_released_lock_is_remembered
            held_locks_are_listed
            a_broken_lock_is_free_and_its_holder_notices
            only_the_named_holder_is_broken
            inspecting_changes_nothing
            odd_locks_do_not_collide
        ] }
    };
}

/// One `#[test]` per case of the lock providers' suite, each with its own harness.
///
/// Takes an expression that makes a [`LockHarness`]; it may await.
///
/// ```
/// # use std::sync::Arc;
/// # struct Mine(esm_testkit::memory::MemoryLocks, esm_testkit::SteppedClock);
/// # #[async_trait::async_trait]
/// # impl esm_testkit::conformance::LockHarness for Mine {
/// #     async fn open(&self) -> Arc<dyn esm_core::store::LockProvider> {
/// #         Arc::new(self.0.clone())
/// #     }
/// #     async fn pass(&self, duration: std::time::Duration) {
/// #         self.1.advance(duration);
/// #     }
/// # }
/// use esm_testkit::{SteppedClock, memory::MemoryLocks};
///
/// // `Mine` is a `LockHarness`: its documentation shows one
/// esm_testkit::lock_conformance!({
///     let clock = SteppedClock::new();
///     Mine(MemoryLocks::new(Arc::new(clock.clone())), clock)
/// });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! lock_conformance {
    ($harness:expr) => {
        $crate::__lock_cases!(__conformance_tests!(lock, $harness));
    };
}

fn name() -> esm_core::Result<LockName> {
    LockName::new("order/123")
}

fn request(harness: &dyn LockHarness, by: &str) -> esm_core::Result<LockRequest> {
    Ok(LockRequest {
        holder: holder(by)?,
        lease: harness.lease(),
        migration: Some(migration()),
        at: Environment::system().clock.now(),
        process: Some(HolderProcess {
            boot: "a boot".to_owned(),
            namespace: "pid:[1] time:[2]".to_owned(),
            pid: 7,
            started: u64::MAX,
        }),
    })
}

async fn attempt(
    harness: &dyn LockHarness,
    locks: &dyn LockProvider,
    by: &str,
) -> Result<LockAttempt, Failure> {
    Ok(locks.try_acquire(&name()?, &request(harness, by)?).await?)
}

async fn acquire(
    harness: &dyn LockHarness,
    locks: &dyn LockProvider,
    by: &str,
) -> Result<LockGrant, Failure> {
    match attempt(harness, locks, by).await? {
        LockAttempt::Acquired(grant) => Ok(grant),
        LockAttempt::Held(info) => Err(Failure::new(format!(
            "a lock that should be free is held: {info:?}"
        ))),
    }
}

async fn ensure_held(
    harness: &dyn LockHarness,
    locks: &dyn LockProvider,
    grant: &LockGrant,
) -> Verdict {
    match attempt(harness, locks, "intruder").await? {
        LockAttempt::Acquired(second) => Err(Failure::new(format!(
            "a lock has two holders: {grant:?} and {second:?}"
        ))),
        LockAttempt::Held(info) => {
            let found = (&info.name, &info.holder, info.token, info.held);
            let wanted = (&grant.name, &grant.holder, grant.token, true);
            ensure_eq!(found, wanted, "what an observer gets");
            ensure!(
                info.expires_in <= info.lease,
                "more is left than the whole lease: {info:?}"
            );
            Ok(())
        }
    }
}

/// Takes a lock over whose holder has stopped renewing it. Guarantee 2 gives the holder a further
/// lease.
async fn take_over(
    harness: &dyn LockHarness,
    locks: &dyn LockProvider,
    by: &str,
) -> Result<LockGrant, Failure> {
    attempt(harness, locks, by).await?;
    harness.pass(harness.lease() + harness.lease() / 10).await;
    acquire(harness, locks, by).await
}

/// A free lock is acquired, with the requested lease.
pub async fn a_free_lock_is_acquired(harness: &dyn LockHarness) -> Verdict {
    let (locks, request) = (harness.open().await, request(harness, "one")?);
    let LockAttempt::Acquired(grant) = locks.try_acquire(&name()?, &request).await? else {
        return Err(Failure::new("a lock that was never held is held"));
    };
    ensure_eq!(grant.name, name()?, "name in the grant");
    ensure_eq!(grant.holder, request.holder, "holder in the grant");
    ensure_eq!(grant.lease, request.lease, "lease in the grant");
    let info = present(harness.open().await.inspect(&name()?).await?, "the holder")?;
    let found = (
        info.holder,
        info.token,
        info.migration,
        info.lease,
        info.held,
    );
    let wanted = (
        request.holder,
        grant.token,
        request.migration,
        request.lease,
        true,
    );
    ensure_eq!(found, wanted, "what others can see");
    ensure_eq!(info.acquired_at, request.at, "when it was acquired");
    ensure_eq!(info.process, request.process, "where the holder runs");
    Ok(())
}

/// Guarantee 1: neither another process, nor another task of the same process, nor the same holder
/// acquires it again.
pub async fn a_held_lock_is_not_acquired(harness: &dyn LockHarness) -> Verdict {
    let (one, two) = (harness.open().await, harness.open().await);
    let grant = acquire(harness, &*one, "one").await?;
    ensure_held(harness, &*two, &grant).await?;
    ensure_held(harness, &*one, &grant).await?;
    let again = attempt(harness, &*one, "one").await?;
    ensure!(
        matches!(again, LockAttempt::Held(_)),
        "a lock is acquired twice"
    );
    harness.pass(harness.lease() / 2).await;
    ensure_held(harness, &*two, &grant).await?;
    ensure_held(harness, &*harness.open().await, &grant).await
}

/// Guarantee 1: a lock is held until its lease ends, and a renewal counts from when it is made,
/// over several leases.
///
/// The rest of the lease at each renewal is for the calls: where time passes for real, they take
/// some.
pub async fn a_renewed_lock_stays_held(harness: &dyn LockHarness) -> Verdict {
    let (one, two) = (harness.open().await, harness.open().await);
    let grant = acquire(harness, &*one, "one").await?;
    for _ in 0..4 {
        ensure_held(harness, &*two, &grant).await?;
        harness.pass(harness.lease() * 8 / 10).await;
        // another process must try before the renewal, which would bring back what has expired
        ensure_held(harness, &*two, &grant).await?;
        one.renew(&grant).await?;
        ensure_held(harness, &*two, &grant).await?;
    }
    Ok(())
}

/// Guarantee 2.
pub async fn an_expired_lock_is_taken_over(harness: &dyn LockHarness) -> Verdict {
    let (one, two) = (harness.open().await, harness.open().await);
    let first = acquire(harness, &*one, "one").await?;
    let second = take_over(harness, &*two, "two").await?;
    ensure!(
        second.token > first.token,
        "the token has not grown: {second:?}"
    );
    ensure_eq!(second.holder, holder("two")?, "new holder");
    ensure_held(harness, &*harness.open().await, &second).await
}

/// A renewal after a takeover fails with `LockLost`. The new holder is not disturbed.
pub async fn a_loser_notices_its_loss(harness: &dyn LockHarness) -> Verdict {
    let (one, two) = (harness.open().await, harness.open().await);
    let first = acquire(harness, &*one, "one").await?;
    let second = take_over(harness, &*two, "two").await?;
    for _ in 0..2 {
        let answer = one.renew(&first).await;
        ensure_err!(
            answer,
            ErrorKind::LockLost,
            "a renewal of a lock taken over"
        );
    }
    ensure_held(harness, &*one, &second).await?;
    two.renew(&second).await?;
    Ok(())
}

/// A release frees the lock at once, for every process.
pub async fn a_released_lock_is_free(harness: &dyn LockHarness) -> Verdict {
    let (one, two) = (harness.open().await, harness.open().await);
    for _ in 0..3 {
        let grant = acquire(harness, &*one, "one").await?;
        ensure_held(harness, &*two, &grant).await?;
        one.renew(&grant).await?;
        one.release(&grant).await?;
        let grant = acquire(harness, &*two, "two").await?;
        ensure_held(harness, &*one, &grant).await?;
        two.release(&grant).await?;
        // a second release changes nothing
        two.release(&grant).await?;
    }
    Ok(())
}

/// A lock that is no longer held by the grant is left alone.
pub async fn a_release_by_a_non_holder_does_nothing(harness: &dyn LockHarness) -> Verdict {
    let (one, two) = (harness.open().await, harness.open().await);
    let first = acquire(harness, &*one, "one").await?;
    let second = take_over(harness, &*two, "two").await?;
    one.release(&first).await?;
    ensure_held(harness, &*harness.open().await, &second).await?;
    two.release(&second).await?;
    let third = acquire(harness, &*one, "one").await?;
    two.release(&second).await?;
    ensure_held(harness, &*harness.open().await, &third).await
}

/// Guarantee 3: over releases, takeovers and breaks.
pub async fn tokens_grow(harness: &dyn LockHarness) -> Verdict {
    let mut newest: Option<LockGrant> = None;
    for round in 0..9 {
        let locks = harness.open().await;
        let grant = match round % 3 {
            1 => take_over(harness, &*locks, "next").await?,
            _ => acquire(harness, &*locks, "next").await?,
        };
        let before = newest.as_ref().map(|before| before.token);
        let grown = before.is_none_or(|before| grant.token > before);
        ensure!(
            grown,
            "a token has not grown: {before:?}, then {:?}",
            grant.token
        );
        match round % 3 {
            0 => {}
            1 => locks.release(&grant).await?,
            _ => locks.break_lock(&grant.name, grant.token).await?,
        }
        newest = Some(grant);
    }
    Ok(())
}

/// Guarantee 1: of 16 concurrent attempts one acquires.
pub async fn one_of_many_acquires(harness: &dyn LockHarness) -> Verdict {
    let mut handles = Vec::new();
    for _ in 0..16 {
        handles.push(harness.open().await);
    }
    for _ in 0..4 {
        let name = name()?;
        let mut requests = Vec::new();
        for racer in 0..16 {
            requests.push(request(harness, &format!("racer {racer}"))?);
        }
        let answers = race(16, |racer| {
            let locks = Arc::clone(&handles[racer]);
            let (name, request) = (name.clone(), requests[racer].clone());
            async move { locks.try_acquire(&name, &request).await }
        })
        .await;
        let mut grants = Vec::new();
        for answer in answers {
            if let LockAttempt::Acquired(grant) = answer? {
                grants.push(grant);
            }
        }
        ensure_eq!(grants.len(), 1, "holders among 16: {grants:?}");
        handles[0].release(&grants[0]).await?;
    }
    Ok(())
}

/// `inspect` returns the newest acquisition, whether still held or not; nothing when there was
/// none.
pub async fn a_released_lock_is_remembered(harness: &dyn LockHarness) -> Verdict {
    let (one, two) = (harness.open().await, harness.open().await);
    ensure_eq!(
        two.inspect(&name()?).await?,
        None,
        "a lock that was never acquired"
    );
    let request = request(harness, "one")?;
    let LockAttempt::Acquired(grant) = one.try_acquire(&name()?, &request).await? else {
        return Err(Failure::new("a lock that was never held is held"));
    };
    one.release(&grant).await?;
    for locks in [one, two, harness.open().await] {
        let info = present(locks.inspect(&name()?).await?, "the released lock")?;
        let found = (info.holder, info.token, info.migration, info.held);
        let wanted = (
            request.holder.clone(),
            grant.token,
            request.migration,
            false,
        );
        ensure_eq!(found, wanted, "what is remembered");
        ensure!(
            info.expires_in.is_zero(),
            "a released lock has a lease left"
        );
    }
    Ok(())
}

/// `list` returns the locks that are held, and no others.
pub async fn held_locks_are_listed(harness: &dyn LockHarness) -> Verdict {
    let (locks, mut grants) = (harness.open().await, Vec::new());
    for number in 0..5 {
        let name = LockName::new(format!("lock {number}"))?;
        match locks.try_acquire(&name, &request(harness, "one")?).await? {
            LockAttempt::Acquired(grant) => grants.push(grant),
            LockAttempt::Held(_) => return Err(Failure::new("a fresh lock is held")),
        }
    }
    for released in [3, 1] {
        locks.release(&grants.remove(released)).await?;
    }
    for observer in [&locks, &harness.open().await] {
        let mut listed: Vec<LockInfo> = observer.list().await?;
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let found: Vec<_> = listed.iter().map(|l| (&l.name, l.token, l.held)).collect();
        let wanted: Vec<_> = grants.iter().map(|g| (&g.name, g.token, true)).collect();
        ensure_eq!(found, wanted, "held locks");
    }
    Ok(())
}

/// `break_lock` frees the lock at once. The holder's next renewal fails with `LockLost`.
pub async fn a_broken_lock_is_free_and_its_holder_notices(harness: &dyn LockHarness) -> Verdict {
    let (holder, operator) = (harness.open().await, harness.open().await);
    let grant = acquire(harness, &*holder, "one").await?;
    operator.break_lock(&grant.name, grant.token).await?;
    let answer = holder.renew(&grant).await;
    ensure_err!(answer, ErrorKind::LockLost, "a renewal of a broken lock");
    let next = acquire(harness, &*operator, "two").await?;
    ensure!(
        next.token > grant.token,
        "the token has not grown over a break"
    );
    let answer = holder.renew(&grant).await;
    ensure_err!(
        answer,
        ErrorKind::LockLost,
        "a second renewal of a broken lock"
    );
    holder.release(&grant).await?;
    ensure_held(harness, &*harness.open().await, &next).await
}

/// `Conflict` for another token, `NotFound` for a free lock; nothing changes.
pub async fn only_the_named_holder_is_broken(harness: &dyn LockHarness) -> Verdict {
    let (one, operator) = (harness.open().await, harness.open().await);
    let answer = operator.break_lock(&name()?, FencingToken(0)).await;
    ensure_err!(
        answer,
        ErrorKind::NotFound,
        "breaking a lock that was never held"
    );
    let grant = acquire(harness, &*one, "one").await?;
    let other = FencingToken(grant.token.0 + 1);
    let answer = operator.break_lock(&name()?, other).await;
    ensure_err!(
        answer,
        ErrorKind::Conflict { .. },
        "breaking by another token"
    );
    ensure_held(harness, &*operator, &grant).await?;
    one.renew(&grant).await?;
    one.release(&grant).await?;
    let answer = operator.break_lock(&name()?, grant.token).await;
    ensure_err!(answer, ErrorKind::NotFound, "breaking a released lock");
    acquire(harness, &*one, "one").await?;
    Ok(())
}

/// Reading a lock neither prolongs nor frees it.
pub async fn inspecting_changes_nothing(harness: &dyn LockHarness) -> Verdict {
    let (one, two) = (harness.open().await, harness.open().await);
    let grant = acquire(harness, &*one, "one").await?;
    attempt(harness, &*two, "two").await?;
    for _ in 0..4 {
        harness.pass(harness.lease() * 3 / 10).await;
        two.inspect(&grant.name).await?;
        two.list().await?;
    }
    let next = acquire(harness, &*two, "two").await?;
    ensure!(next.token > grant.token, "the token has not grown");
    Ok(())
}

/// Every valid name works, and no two names are one lock.
pub async fn odd_locks_do_not_collide(harness: &dyn LockHarness) -> Verdict {
    let locks = harness.open().await;
    for odd in odd_names() {
        let name = LockName::new(&odd)?;
        let answer = locks.try_acquire(&name, &request(harness, "one")?).await?;
        let acquired = matches!(answer, LockAttempt::Acquired(_));
        ensure!(acquired, "a fresh lock is held: {odd:?}");
    }
    let mut listed: Vec<_> = locks
        .list()
        .await?
        .into_iter()
        .map(|info| info.name)
        .collect();
    listed.sort();
    let mut wanted = Vec::new();
    for odd in odd_names() {
        wanted.push(LockName::new(odd)?);
    }
    wanted.sort();
    ensure_eq!(listed, wanted, "names of held locks");
    Ok(())
}
