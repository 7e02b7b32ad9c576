//! The lock of a migration.

use esm_core::migration::LockOptions;
use esm_core::store::LockInfo;

use crate::args::Span;

/// How the lock is acquired and renewed.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Tuning")]
pub(crate) struct LockArgs {
    /// Maximum wait for a lock held by another process; defaults to no wait, with `resume` until the
    /// lease of a dead holder has expired.
    #[arg(long, value_name = "DURATION")]
    lock_timeout: Option<Span>,
    /// Lease: how long the lock is valid without a renewal.
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    lock_lease: Span,
    /// Interval between renewals of the lock.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    lock_heartbeat: Span,
}

impl LockArgs {
    /// As [`apply`](Self::apply); without a given timeout, one that outlasts the lease of the present
    /// holder.
    pub(crate) fn outlasting(
        &self,
        holder: Option<&LockInfo>,
        defaults: LockOptions,
    ) -> LockOptions {
        let options = self.apply(defaults);
        match holder.filter(|_| self.lock_timeout.is_none()) {
            Some(holder) => {
                let expired = holder.lease.saturating_add(options.heartbeat);
                options.timeout(options.timeout.max(expired))
            }
            None => options,
        }
    }

    /// Applies the given options to the defaults.
    pub(crate) fn apply(&self, options: LockOptions) -> LockOptions {
        let options = match self.lock_timeout {
            Some(timeout) => options.timeout(timeout.0),
            None => options,
        };
        options
            .lease(self.lock_lease.0)
            .heartbeat(self.lock_heartbeat.0)
    }
}
