//! The facts by which the processes of a machine recognise the holder of a lock.
//!
//! A lease proves that a holder died only after a whole lease. A process of the same machine can
//! know at once: there is no such process any more. Nothing but waiting depends on it; like every
//! lock, one that was taken from a living holder costs duplicate work and no event.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

/// Where a holder runs: the facts by which other processes of its machine can recognise it.
///
/// A process is known to have ended only if `boot` and `namespace` are those of the observer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HolderProcess {
    /// Identity of the machine's boot.
    pub boot: String,
    /// Identity of the namespaces in which `pid` and `started` have a meaning.
    pub namespace: String,
    /// The process id.
    pub pid: u32,
    /// When the process started, in the unit of its operating system: a later process with the same
    /// id has another.
    pub started: u64,
}

/// The processes of this machine, as far as the operating system shows them.
pub trait Processes: Send + Sync + Debug + 'static {
    /// Returns the facts of this process, if all of them are known.
    fn current(&self) -> Option<HolderProcess>;

    /// Returns whether a process has certainly ended. Returns `false` wherever that is unknown, also
    /// for a process of another machine, boot or namespace.
    fn has_ended(&self, process: &HolderProcess) -> bool;
}
