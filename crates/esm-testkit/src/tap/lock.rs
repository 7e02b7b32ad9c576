//! The decorator of lock providers.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::Result;
use esm_core::id::{FencingToken, LockName};
use esm_core::store::{LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};

use super::{Call, Tap, tapped};

/// A lock provider whose calls go through a [`Tap`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use esm_core::store::LockProvider as _;
/// use esm_testkit::memory::MemoryWorld;
/// use esm_testkit::record::Recorder;
/// use esm_testkit::tap::{OperationLog, TappedLocks};
///
/// let world = MemoryWorld::new(esm_testkit::environment(1));
/// let tap = Recorder::new("app", OperationLog::new());
/// let locks = TappedLocks::new(world.locks(), tap.clone());
/// assert!(locks.list().await?.is_empty());
/// assert_eq!(tap.log().len(), 1);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct TappedLocks<T> {
    inner: Arc<dyn LockProvider>,
    tap: T,
}

impl<T: Tap> TappedLocks<T> {
    /// Decorates this provider with this tap.
    pub fn new(inner: Arc<dyn LockProvider>, tap: T) -> Self {
        Self { inner, tap }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Tap> LockProvider for TappedLocks<T> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn try_acquire(&self, name: &LockName, request: &LockRequest) -> Result<LockAttempt> {
        let call = Call::write("locks.try_acquire", name);
        tapped!(self.tap, call, self.inner.try_acquire(name, request))
    }

    async fn renew(&self, grant: &LockGrant) -> Result<()> {
        let call = Call::write("locks.renew", &grant.name);
        tapped!(self.tap, call, self.inner.renew(grant))
    }

    async fn release(&self, grant: &LockGrant) -> Result<()> {
        let call = Call::write("locks.release", &grant.name);
        tapped!(self.tap, call, self.inner.release(grant))
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>> {
        let call = Call::read("locks.inspect", name);
        tapped!(self.tap, call, self.inner.inspect(name))
    }

    async fn list(&self) -> Result<Vec<LockInfo>> {
        let call = Call::read("locks.list", "");
        tapped!(self.tap, call, self.inner.list())
    }

    async fn break_lock(&self, name: &LockName, token: FencingToken) -> Result<()> {
        let call = Call::write("locks.break_lock", name);
        tapped!(self.tap, call, self.inner.break_lock(name, token))
    }
}
