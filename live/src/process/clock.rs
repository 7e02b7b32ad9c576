//! The machine's monotonic clock, which every process reads alike.
//!
//! `esm_core`'s clock counts from the start of its own process, so times of two processes cannot be
//! compared on it; and whether an append was answered before another one was sent is what a history
//! is about.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since an arbitrary instant that is the same for all processes.
pub(crate) fn nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
