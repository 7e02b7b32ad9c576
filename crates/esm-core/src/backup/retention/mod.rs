//! Which backups may go, and removing them.
//!
//! | file | idea |
//! |---|---|
//! | `rules` | which of a series are kept: the newest, one a day, one a month, those with a tag |
//! | `policy` | which backups go, with the reason for each: pure |
//! | `reason` | why one goes, or stays |
//! | `prune` | removing them |

mod policy;
mod prune;
mod reason;
mod rules;

pub use policy::PrunePolicy;
pub use prune::{KeptBackup, PruneFailure, Pruned, PrunedBackup, split_damaged};
pub use reason::{KeepReason, PruneReason};
pub use rules::KeepRules;
