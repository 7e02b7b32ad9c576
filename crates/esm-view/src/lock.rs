//! Held locks: the documents of `esm lock`.

use std::time::Duration;

use esm_core::store::{HolderState, LockInfo};
use jiff::Timestamp;
use serde::Serialize;

use crate::migration::sign_of_life;
use crate::units::duration;

/// Several locks.
#[derive(Debug, Clone, Serialize)]
pub struct Locks {
    /// The locks, by name.
    pub locks: Vec<Held>,
}

/// A held lock.
#[derive(Debug, Clone, Serialize)]
pub struct Held {
    /// The lock.
    #[serde(flatten)]
    pub lock: LockInfo,
    /// Seconds since it was acquired.
    pub age_seconds: u64,
    /// Whether its holder is alive.
    pub holder_state: HolderState,
    /// The last sign of life of its holder, or what is damaged, in words.
    #[serde(skip)]
    pub life: String,
}

impl Locks {
    /// These locks as they are now.
    pub fn new(mut locks: Vec<LockInfo>, now: Timestamp) -> Self {
        locks.sort_by(|a, b| a.name.cmp(&b.name));
        let locks = locks.into_iter().map(|lock| Held::new(lock, now));
        Self {
            locks: locks.collect(),
        }
    }
}

impl Held {
    /// A lock as it is now.
    pub fn new(lock: LockInfo, now: Timestamp) -> Self {
        let age = now.as_second().saturating_sub(lock.acquired_at.as_second());
        let life = match &lock.damage {
            Some(damage) => damage.clone(),
            None => sign_of_life(&lock, now).unwrap_or_default(),
        };
        Self {
            holder_state: lock.holder_state(now),
            life,
            age_seconds: u64::try_from(age).unwrap_or(0),
            lock,
        }
    }

    /// How long it has been held, where that is known.
    pub fn age(&self) -> String {
        match &self.lock.damage {
            Some(_) => "unknown".to_owned(),
            None => duration(Duration::from_secs(self.age_seconds)),
        }
    }
}
