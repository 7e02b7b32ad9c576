//! Distributed locks: for efficiency, never for safety.
//!
//! A holder can be paused past its lease and wake up still believing that it holds the lock. What
//! keeps events safe are conditional writes; a lock keeps two migrators from doing the same work.
//!
//! | module | responsibility |
//! |---|---|
//! | `provider` | what a provider implements, and what others can see of a lock |
//! | `process` | the facts by which the processes of a machine recognise a holder |
//! | `process_aware` | takes locks over at once whose holder has ended, on its machine |

mod process;
mod process_aware;
mod provider;

pub use process::{HolderProcess, Processes};
pub use process_aware::ProcessAwareLocks;
pub use provider::{HolderState, LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};
