//! Locks of holders whose process has certainly ended.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{ErrorKind, Result};
use crate::id::{FencingToken, LockName};
use crate::store::lock::process::Processes;
use crate::store::lock::provider::{LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};

/// Attempts to acquire a lock that other processes take from dead holders at the same time.
const ATTEMPTS: u32 = 3;

/// Adds the facts of this process to its locks, and takes locks over at once whose holder's process
/// has ended.
///
/// ```
/// # #[derive(Debug)] struct NoProcesses;
/// # impl esm_core::store::Processes for NoProcesses {
/// #     fn current(&self) -> Option<esm_core::store::HolderProcess> { None }
/// #     fn has_ended(&self, _: &esm_core::store::HolderProcess) -> bool { false }
/// # }
/// # fn wrap(locks: std::sync::Arc<dyn esm_core::store::LockProvider>) {
/// use std::sync::Arc;
///
/// use esm_core::store::{LockProvider, ProcessAwareLocks};
///
/// let locks: Arc<dyn LockProvider> = Arc::new(ProcessAwareLocks::new(locks, NoProcesses));
/// # drop(locks);
/// # }
/// ```
#[derive(Debug)]
pub struct ProcessAwareLocks {
    inner: Arc<dyn LockProvider>,
    processes: Arc<dyn Processes>,
}

impl ProcessAwareLocks {
    /// Wraps a lock provider.
    pub fn new(inner: Arc<dyn LockProvider>, processes: impl Processes) -> Self {
        Self {
            inner,
            processes: Arc::new(processes),
        }
    }

    fn judged(&self, mut info: LockInfo) -> LockInfo {
        let holder = info.process.as_ref().filter(|_| info.held);
        if holder.is_some_and(|holder| self.processes.has_ended(holder)) {
            info.held = false;
            info.expires_in = std::time::Duration::ZERO;
            info.abandoned = true;
        }
        info
    }
}

#[async_trait]
impl LockProvider for ProcessAwareLocks {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn try_acquire(&self, name: &LockName, request: &LockRequest) -> Result<LockAttempt> {
        let request = LockRequest {
            process: self.processes.current(),
            ..request.clone()
        };
        let mut attempt = 1;
        loop {
            let found = match self.inner.try_acquire(name, &request).await? {
                LockAttempt::Held(info) => info,
                acquired => return Ok(acquired),
            };
            if attempt == ATTEMPTS || !self.judged(found.clone()).abandoned {
                return Ok(LockAttempt::Held(found));
            }
            match self.inner.break_lock(name, found.token).await {
                Ok(()) => {}
                // another process was first
                Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. } | ErrorKind::NotFound) => {}
                Err(e) => return Err(e),
            }
            attempt += 1;
        }
    }

    async fn renew(&self, grant: &LockGrant) -> Result<()> {
        self.inner.renew(grant).await
    }

    async fn release(&self, grant: &LockGrant) -> Result<()> {
        self.inner.release(grant).await
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>> {
        let found = self.inner.inspect(name).await?;
        Ok(found.map(|info| self.judged(info)))
    }

    async fn list(&self) -> Result<Vec<LockInfo>> {
        let found = self.inner.list().await?.into_iter();
        let judged = found.map(|info| self.judged(info));
        Ok(judged.filter(|info| info.held).collect())
    }

    async fn break_lock(&self, name: &LockName, token: FencingToken) -> Result<()> {
        self.inner.break_lock(name, token).await
    }
}
