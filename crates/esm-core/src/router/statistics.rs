//! What a client has done, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::error::Result;
use crate::store::{Call, Layer};

/// What a client and its clones have done since it was made.
///
/// Each number is exact. Read while appends are under way, two numbers may be of different times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct ClientStatistics {
    /// Appends that were acknowledged, those that a token settled included.
    pub appends: u64,
    /// Appends that were answered with an error, conflicts included.
    pub failed_appends: u64,
    /// Storage requests that all of them made, reads and writes; mirrors and polling not included.
    pub append_requests: u64,
    /// Appends that met a Close and continued in its target, each once for every Close that refused
    /// its cell.
    pub redirects: u64,
    /// Documents that this client made follow a Close ([R12](crate::protocol#r12)).
    pub helps: u64,
    /// Appends that gave way to a cutover ([R6](crate::protocol#r6)).
    pub slowed: u64,
    /// Cells that were mirrored ([R16](crate::protocol#r16)).
    pub mirrors_written: u64,
    /// Cells that were acknowledged in a phase of dual writes and not mirrored by the rule.
    pub mirrors_skipped: u64,
    /// Mirrors that failed, or took too long: the copier repairs.
    pub mirrors_failed: u64,
    /// Reads in a phase of dual reads that the target served ([R15](crate::protocol#r15)).
    pub dual_reads_target: u64,
    /// Reads in a phase of dual reads that the source answered because the target could not.
    pub dual_reads_source: u64,
    /// Shadow reads in which source and target agreed.
    pub shadow_equal: u64,
    /// Shadow reads in which they differed.
    pub shadow_different: u64,
    /// Shadow reads that could not be compared: the target lagged or changed, the transformation
    /// is not registered, or the deadline passed.
    pub shadow_skipped: u64,
    /// Appends that were refused because of an event of a retired schema
    /// ([R11](crate::protocol#r11)).
    pub retired_refused: u64,
    /// Events of retired schemas that went through the registered transformation.
    pub retired_transformed: u64,
    /// Events of retired schemas that were stored as they are.
    pub retired_accepted: u64,
    /// Times that the index of migrations was read.
    pub phase_polls: u64,
    /// Times that phases could not be read: the client continues with what it knew.
    pub phase_poll_failures: u64,
}

impl ClientStatistics {
    /// Storage requests of appends beyond one for each.
    pub fn extra_requests(&self) -> u64 {
        self.append_requests
            .saturating_sub(self.appends + self.failed_appends)
    }
}

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// The numbers as they grow. Clones share them.
        #[derive(Debug, Clone, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
        }

        impl Counters {
            pub(super) fn read(&self) -> ClientStatistics {
                ClientStatistics { $($name: self.$name.read(),)* }
            }
        }
    };
}

counters!(
    appends,
    failed_appends,
    append_requests,
    redirects,
    helps,
    slowed,
    mirrors_written,
    mirrors_skipped,
    mirrors_failed,
    dual_reads_target,
    dual_reads_source,
    shadow_equal,
    shadow_different,
    shadow_skipped,
    retired_refused,
    retired_transformed,
    retired_accepted,
    phase_polls,
    phase_poll_failures,
);

/// A number that only grows. Clones are the same number.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts the calls.
impl Layer for Counter {
    type Held = ();

    async fn enter(&self, _: Call) -> Result<()> {
        self.add(1);
        Ok(())
    }
}
