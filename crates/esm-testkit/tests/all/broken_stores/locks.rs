//! Broken lock providers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use esm_core::id::{FencingToken, LockName};
use esm_core::store::{LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};
use esm_core::{Error, ErrorKind, Result};
use esm_testkit::SteppedClock;
use esm_testkit::conformance::{LockHarness, lock};
use esm_testkit::memory::MemoryLocks;

use super::judge::{assert_rejected, rejected_by};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    GrantsToEverybody,
    GrantsToTheSameHolderAgain,
    ChecksThenWrites,
    RepeatsTokens,
    RestartsTokensAtATakeover,
    RestartsTokensAtARelease,
    RestartsTokensAtABreak,
    NeverExpires,
    ExpiresTooEarly,
    CountsFromTheAcquisition,
    RenewsForEverybody,
    HidesALoss,
    ReleasesForAnybody,
    NeverReleases,
    ForgetsReleasedLocks,
    ListsNothing,
    BreaksByAnyToken,
    BreaksFreeLocks,
    ProlongsWhenInspected,
    FoldsCaseOfNames,
    ForgetsTheMigration,
    ForgetsTheProcess,
}

/// What a store with wrong tokens knows of its one lock.
#[derive(Debug, Default)]
struct Tokens {
    /// The tokens begin anew behind this one.
    base: u64,
    given_up: bool,
}

/// Most of a lease: more than half of it.
fn too_short(lease: Duration) -> Duration {
    lease * 7 / 10
}

#[derive(Debug)]
struct Broken {
    inner: MemoryLocks,
    defect: Defect,
    tokens: Arc<Mutex<Tokens>>,
}

impl Broken {
    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn lock(&self, name: &LockName) -> LockName {
        if self.has(Defect::FoldsCaseOfNames) {
            LockName::new(name.as_str().to_lowercase()).expect("it is still a name")
        } else {
            name.clone()
        }
    }

    fn has_wrong_tokens(&self) -> bool {
        matches!(
            self.defect,
            Defect::RepeatsTokens
                | Defect::RestartsTokensAtATakeover
                | Defect::RestartsTokensAtARelease
                | Defect::RestartsTokensAtABreak
        )
    }

    /// The wrong token of a lock that was acquired.
    fn acquired(&self, token: FencingToken) -> FencingToken {
        let mut tokens = self.tokens.lock().expect("nobody panics here");
        let taken_over = token.0 > 1 && !tokens.given_up;
        if self.has(Defect::RestartsTokensAtATakeover) && taken_over {
            tokens.base = token.0 - 1;
        }
        tokens.given_up = false;
        if self.has(Defect::RepeatsTokens) {
            FencingToken(1)
        } else {
            FencingToken(token.0 - tokens.base)
        }
    }

    /// Notes that the lock was given up, so that its tokens may begin anew.
    fn gave_up(&self, token: FencingToken, how: Defect) {
        let mut tokens = self.tokens.lock().expect("nobody panics here");
        tokens.given_up = true;
        if self.has(how) {
            tokens.base = token.0;
        }
    }

    fn grant(info: &LockInfo) -> LockGrant {
        LockGrant {
            name: info.name.clone(),
            holder: info.holder.clone(),
            token: info.token,
            lease: info.lease,
            data: Default::default(),
        }
    }
}

#[async_trait]
impl LockProvider for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    async fn try_acquire(&self, name: &LockName, request: &LockRequest) -> Result<LockAttempt> {
        let name = &self.lock(name);
        let (lease, mut request) = (request.lease, request.clone());
        let held = self.inner.inspect(name).await?.filter(|info| info.held);
        match (self.defect, held) {
            (Defect::GrantsToEverybody, Some(info)) => {
                self.inner.release(&Self::grant(&info)).await?;
            }
            (Defect::GrantsToTheSameHolderAgain, Some(info)) if info.holder == request.holder => {
                return Ok(LockAttempt::Acquired(Self::grant(&info)));
            }
            (Defect::ChecksThenWrites, None) => {
                super::judge::let_others_run().await;
                if let Some(info) = self.inner.inspect(name).await? {
                    self.inner.release(&Self::grant(&info)).await?;
                }
            }
            (Defect::ForgetsTheMigration, _) => request.migration = None,
            (Defect::ForgetsTheProcess, _) => request.process = None,
            (Defect::NeverExpires, _) => request.lease = Duration::from_secs(1_000_000_000),
            (Defect::ExpiresTooEarly, _) => request.lease = too_short(request.lease),
            _ => {}
        }
        let mut attempt = self.inner.try_acquire(name, &request).await?;
        if let (Defect::ExpiresTooEarly, LockAttempt::Acquired(grant)) = (self.defect, &mut attempt)
        {
            grant.lease = lease;
        }
        if let (true, LockAttempt::Acquired(grant)) = (self.has_wrong_tokens(), &mut attempt) {
            grant.token = self.acquired(grant.token);
        }
        Ok(attempt)
    }

    async fn renew(&self, grant: &LockGrant) -> Result<()> {
        match self.defect {
            Defect::RenewsForEverybody => Ok(()),
            Defect::ExpiresTooEarly => {
                let mut grant = grant.clone();
                grant.lease = too_short(grant.lease);
                self.inner.renew(&grant).await
            }
            Defect::CountsFromTheAcquisition => match self.inner.inspect(&grant.name).await? {
                Some(info) if info.token == grant.token => Ok(()),
                _ => self.inner.renew(grant).await,
            },
            // an unknown outcome is no loss, but a known loss must be reported as one
            Defect::HidesALoss => {
                self.inner.renew(grant).await.map_err(|_| {
                    Error::new(ErrorKind::Unavailable, "the lock could not be renewed")
                })
            }
            _ => self.inner.renew(grant).await,
        }
    }

    async fn release(&self, grant: &LockGrant) -> Result<()> {
        match self.defect {
            Defect::NeverReleases => Ok(()),
            _ if self.has_wrong_tokens() => match self.inner.inspect(&grant.name).await? {
                Some(info) => {
                    self.gave_up(info.token, Defect::RestartsTokensAtARelease);
                    self.inner.release(&Self::grant(&info)).await
                }
                None => Ok(()),
            },
            Defect::ReleasesForAnybody => match self.inner.inspect(&grant.name).await? {
                Some(info) => self.inner.release(&Self::grant(&info)).await,
                None => Ok(()),
            },
            _ => self.inner.release(grant).await,
        }
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>> {
        let info = self.inner.inspect(&self.lock(name)).await?;
        if let (Defect::ProlongsWhenInspected, Some(info)) = (self.defect, &info) {
            self.inner.renew(&Self::grant(info)).await?;
        }
        let forgets = self.has(Defect::ForgetsReleasedLocks);
        Ok(info.filter(|info| info.held || !forgets))
    }

    async fn list(&self) -> Result<Vec<LockInfo>> {
        if self.has(Defect::ListsNothing) {
            Ok(Vec::new())
        } else {
            self.inner.list().await
        }
    }

    async fn break_lock(&self, name: &LockName, token: FencingToken) -> Result<()> {
        let name = &self.lock(name);
        let info = self.inner.inspect(name).await?.filter(|info| info.held);
        match (self.defect, info) {
            (Defect::BreaksByAnyToken, Some(info)) => self.inner.break_lock(name, info.token).await,
            (Defect::BreaksFreeLocks, None) => Ok(()),
            (_, Some(info)) if self.has_wrong_tokens() => {
                self.gave_up(info.token, Defect::RestartsTokensAtABreak);
                self.inner.break_lock(name, info.token).await
            }
            _ => self.inner.break_lock(name, token).await,
        }
    }
}

struct Harness {
    inner: MemoryLocks,
    clock: SteppedClock,
    defect: Defect,
    tokens: Arc<Mutex<Tokens>>,
}

impl Harness {
    fn boxed(defect: Defect) -> Box<dyn LockHarness> {
        let clock = SteppedClock::new();
        let inner = MemoryLocks::new(Arc::new(clock.clone()));
        Box::new(Self {
            inner,
            clock,
            defect,
            tokens: Arc::default(),
        })
    }
}

#[async_trait]
impl LockHarness for Harness {
    async fn open(&self) -> Arc<dyn LockProvider> {
        Arc::new(Broken {
            inner: self.inner.clone(),
            defect: self.defect,
            tokens: Arc::clone(&self.tokens),
        })
    }

    async fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
    }
}

#[test]
fn every_defect_is_rejected_by_its_case() {
    let defects = [
        (Defect::GrantsToEverybody, "a_held_lock_is_not_acquired"),
        (
            Defect::GrantsToTheSameHolderAgain,
            "a_held_lock_is_not_acquired",
        ),
        (Defect::ChecksThenWrites, "one_of_many_acquires"),
        (Defect::RepeatsTokens, "tokens_grow"),
        (Defect::RestartsTokensAtATakeover, "tokens_grow"),
        (Defect::RestartsTokensAtARelease, "tokens_grow"),
        (Defect::RestartsTokensAtABreak, "tokens_grow"),
        (Defect::NeverExpires, "an_expired_lock_is_taken_over"),
        (
            Defect::CountsFromTheAcquisition,
            "a_renewed_lock_stays_held",
        ),
        (Defect::ExpiresTooEarly, "a_renewed_lock_stays_held"),
        (Defect::RenewsForEverybody, "a_loser_notices_its_loss"),
        (
            Defect::HidesALoss,
            "a_broken_lock_is_free_and_its_holder_notices",
        ),
        (
            Defect::ReleasesForAnybody,
            "a_release_by_a_non_holder_does_nothing",
        ),
        (Defect::NeverReleases, "a_released_lock_is_free"),
        (
            Defect::ForgetsReleasedLocks,
            "a_released_lock_is_remembered",
        ),
        (Defect::ListsNothing, "held_locks_are_listed"),
        (Defect::BreaksByAnyToken, "only_the_named_holder_is_broken"),
        (Defect::BreaksFreeLocks, "only_the_named_holder_is_broken"),
        (Defect::ProlongsWhenInspected, "inspecting_changes_nothing"),
        (Defect::FoldsCaseOfNames, "odd_locks_do_not_collide"),
        (Defect::ForgetsTheMigration, "a_free_lock_is_acquired"),
        (Defect::ForgetsTheProcess, "a_free_lock_is_acquired"),
    ];
    assert_rejected(lock::CASES, &defects, Harness::boxed);
}

#[test]
fn without_a_defect_every_case_passes() {
    let harness = || Harness::boxed(Defect::None);
    assert_eq!(rejected_by(lock::CASES, harness), [""; 0]);
}
