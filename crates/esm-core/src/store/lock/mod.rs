//! Distributed locks: for efficiency, never for safety.
//!
//! A holder can be paused past its lease and wake up still believing that it holds the lock. What
//! keeps events safe are conditional writes; a lock keeps two migrators from doing the same work.
//!
//! | module | responsibility |
//! |---|---|
//! | `provider` | what a provider implements, and what others can see of a lock |
//! | `process` | knows at once that the holder of a lock has ended, on its machine |

mod process;
mod provider;

pub use process::{HolderProcess, ProcessAwareLocks, Processes};
pub use provider::{HolderState, LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};
