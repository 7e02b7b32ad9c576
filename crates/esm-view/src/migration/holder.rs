//! Whether the process that holds a lock is alive, in words.

use std::time::Duration;

use esm_core::store::{HolderState, LockInfo};
use jiff::Timestamp;

use crate::units::duration;

/// What is known of the holder's life: when it renewed the lock, or that its process has ended.
pub fn sign_of_life(lock: &LockInfo, now: Timestamp) -> Option<String> {
    let state = lock.holder_state(now);
    if state == HolderState::Dead {
        return Some("its process has ended".to_owned());
    }
    let silence = duration(lock.silent_for(now)?);
    Some(match state {
        HolderState::ProbablyDead => format!("renewed {silence} ago, probably dead"),
        _ => format!("renewed {silence} ago"),
    })
}

/// Names what a command waits for, and how long at most.
pub fn waits_for(lock: &LockInfo, now: Timestamp, at_most: Duration) -> String {
    let life = sign_of_life(lock, now).map_or(String::new(), |life| format!(" ({life})"));
    format!(
        "waiting for {}, which holds the lock `{}`{life}: until it answers or its lease has \
         expired, at most {}",
        lock.holder,
        lock.name,
        duration(at_most)
    )
}

#[cfg(test)]
mod tests {
    use esm_core::id::{FencingToken, HolderId, LockName};
    use esm_core::store::LockRequest;

    use super::*;

    fn lock(renewed_at: Option<Timestamp>) -> LockInfo {
        let request = LockRequest {
            holder: HolderId::new("ann@a:7:1234").expect("a holder"),
            lease: Duration::from_secs(60),
            migration: None,
            at: Timestamp::UNIX_EPOCH,
            process: None,
        };
        let name = LockName::new("objects").expect("a name");
        LockInfo {
            renewed_at,
            ..LockInfo::granted(&name, FencingToken(1), &request)
        }
    }

    #[test]
    fn a_holder_that_was_silent_for_a_lease_is_probably_dead_and_one_that_ended_is_dead() {
        let now = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(100);
        let before = |seconds| Some(now - jiff::SignedDuration::from_secs(seconds));
        let life = |renewed_at| sign_of_life(&lock(renewed_at), now);
        assert_eq!(life(None), None);
        assert_eq!(life(before(60)).as_deref(), Some("renewed 1 min 0 s ago"));
        assert_eq!(
            life(before(61)).as_deref(),
            Some("renewed 1 min 1 s ago, probably dead")
        );
        // the holder's clock is ahead
        assert_eq!(life(before(-9)).as_deref(), Some("renewed 0.0 s ago"));
        let dead = LockInfo {
            held: false,
            abandoned: true,
            ..lock(before(3))
        };
        assert_eq!(
            sign_of_life(&dead, now).as_deref(),
            Some("its process has ended")
        );
    }

    #[test]
    fn a_wait_names_the_holder_its_last_sign_of_life_and_the_longest_time() {
        let now = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(3);
        let text = waits_for(
            &lock(Some(Timestamp::UNIX_EPOCH)),
            now,
            Duration::from_secs(70),
        );
        for part in [
            "ann@a:7:1234",
            "the lock `objects`",
            "(renewed 3.0 s ago)",
            "at most 1 min 10 s",
        ] {
            assert!(text.contains(part), "{part:?} is missing in {text:?}");
        }
    }
}
