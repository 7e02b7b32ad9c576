//! One lock, and callers that are numbered.

use std::sync::Arc;
use std::time::Duration;

use esm_core::clock::Clock as _;
use esm_core::id::{HolderId, LockName};
use esm_core::store::{LockAttempt, LockGrant, LockProvider as _, LockRequest};
use esm_testkit::SteppedClock;
use esm_testkit::memory::MemoryLocks;
use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use super::models::at_once;

const LEASE: u64 = 60;

/// A call on the lock.
#[derive(Debug, Clone)]
pub(crate) enum LockCall {
    Acquire(usize),
    Renew(usize),
    Release(usize),
    Break,
    Pass(u64),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct LockModel {
    now: u64,
    /// The holder, and the end of its lease.
    held: Option<(usize, u64)>,
    acquisitions: u64,
    /// The newest acquisition of each caller.
    tokens: [u64; 3],
}

impl LockModel {
    fn is_held(&self) -> bool {
        self.held.is_some_and(|(_, until)| until > self.now)
    }
}

impl ReferenceStateMachine for LockModel {
    type State = Self;
    type Transition = LockCall;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<LockCall> {
        prop_oneof![
            4 => (0_usize..3).prop_map(LockCall::Acquire),
            3 => (0_usize..3).prop_map(LockCall::Renew),
            2 => (0_usize..3).prop_map(LockCall::Release),
            1 => Just(LockCall::Break),
            3 => select(vec![1, 30, 59, 60, 61]).prop_map(LockCall::Pass),
        ]
        .boxed()
    }

    fn apply(mut state: Self, call: &LockCall) -> Self {
        let newest = |state: &Self, who: usize| {
            state.held.is_some_and(|(holder, _)| holder == who)
                && state.tokens[who] == state.acquisitions
        };
        match call {
            LockCall::Acquire(who) if !state.is_held() => {
                state.acquisitions += 1;
                state.tokens[*who] = state.acquisitions;
                state.held = Some((*who, state.now + LEASE));
            }
            // an expired lock that no other holder took can be renewed
            LockCall::Renew(who) if newest(&state, *who) => {
                state.held = Some((*who, state.now + LEASE));
            }
            LockCall::Release(who) if newest(&state, *who) => state.held = None,
            LockCall::Break if state.is_held() => state.held = None,
            LockCall::Pass(seconds) => state.now += seconds,
            _ => {}
        }
        state
    }
}

#[derive(Debug)]
pub(crate) struct Lock {
    clock: SteppedClock,
    locks: MemoryLocks,
    grants: [Option<LockGrant>; 3],
}

fn lock_name() -> LockName {
    LockName::new("order/1").expect("a valid name")
}

impl StateMachineTest for Lock {
    type SystemUnderTest = Self;
    type Reference = LockModel;

    fn init_test(_: &LockModel) -> Self {
        let clock = SteppedClock::new();
        let locks = MemoryLocks::new(Arc::new(clock.clone()));
        Self {
            clock,
            locks,
            grants: [None, None, None],
        }
    }

    fn apply(mut lock: Self, after: &LockModel, call: LockCall) -> Self {
        match call {
            LockCall::Acquire(who) => {
                let request = LockRequest {
                    holder: HolderId::new(format!("caller {who}")).expect("a valid holder"),
                    lease: Duration::from_secs(LEASE),
                    migration: None,
                    at: lock.clock.now(),
                    process: None,
                };
                let attempt = at_once(lock.locks.try_acquire(&lock_name(), &request));
                if let LockAttempt::Acquired(grant) = attempt.expect("it can be asked for") {
                    assert_eq!(after.held, Some((who, after.now + LEASE)));
                    assert_eq!(grant.token.0, after.acquisitions);
                    lock.grants[who] = Some(grant);
                } else {
                    assert!(after.is_held());
                }
            }
            LockCall::Renew(who) => {
                if let Some(grant) = &lock.grants[who] {
                    let renewed = at_once(lock.locks.renew(grant)).is_ok();
                    let mine = after.held == Some((who, after.now + LEASE))
                        && after.tokens[who] == after.acquisitions;
                    assert_eq!(renewed, mine);
                }
            }
            LockCall::Release(who) => {
                if let Some(grant) = &lock.grants[who] {
                    at_once(lock.locks.release(grant)).expect("it can be released");
                }
            }
            LockCall::Break => {
                let newest = at_once(lock.locks.inspect(&lock_name())).expect("it can be seen");
                if let Some(info) = newest {
                    let broken = at_once(lock.locks.break_lock(&lock_name(), info.token)).is_ok();
                    assert_eq!(broken, info.held);
                }
            }
            LockCall::Pass(seconds) => lock.clock.advance(Duration::from_secs(seconds)),
        }
        lock
    }

    fn check_invariants(lock: &Self, model: &LockModel) {
        let newest = at_once(lock.locks.inspect(&lock_name())).expect("it can be seen");
        let held = newest.as_ref().is_some_and(|info| info.held);
        assert_eq!(held, model.is_held());
        assert_eq!(newest.map_or(0, |info| info.token.0), model.acquisitions);
    }
}
