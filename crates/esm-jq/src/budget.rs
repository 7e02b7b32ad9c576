//! What bounds a run of a program: steps and stack.
//!
//! A jq program loops only by recursion and by `range`; both ask here. A stop is not an error of the
//! language, so that no `try` of the program can catch it and make the output depend on it.

use std::cell::Cell;
use std::cmp::Ordering;

use jaq_core::box_iter::box_once;
use jaq_core::native::{Filter, Fun, v};
use jaq_core::{Exn, Native, RunPtr};
use jaq_json::Val;

use crate::program::Engine;

/// The name that recursive functions call the budget by.
pub(crate) const STEP: &str = "__esm_step";

/// Why a run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It took all its steps: calls of recursive functions, and numbers of `range`.
    Steps,
    /// Its recursion used up its stack.
    Stack,
}

/// What a run may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) steps: u64,
    /// In bytes, for recursion. A value that is nested by each step takes more when it is dropped.
    pub(crate) stack: usize,
    pub(crate) outputs: usize,
}

/// The budget of one run.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: Cell<u64>,
    stack_start: usize,
    stack_bytes: usize,
    stop: Cell<Option<Stop>>,
}

impl Budget {
    /// A budget of these limits; the stack is counted from the caller's frame.
    #[inline(never)]
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            steps: Cell::new(limits.steps),
            stack_start: stack_address(),
            stack_bytes: limits.stack,
            stop: Cell::new(None),
        }
    }

    /// Why the run was stopped, if it was. Whatever it gave out by then is void.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.stop.get()
    }

    fn step(&self) -> Result<(), Exn<'static, Val>> {
        let stop = match self.steps.get().checked_sub(1) {
            None => Stop::Steps,
            Some(left) => {
                self.steps.set(left);
                if self.stack_start.abs_diff(stack_address()) <= self.stack_bytes {
                    return Ok(());
                }
                // Whoever swallows the stop meets it again at the next step.
                self.steps.set(0);
                Stop::Stack
            }
        };
        self.stop.set(self.stop.get().or(Some(stop)));
        Err(Exn::halt(1))
    }
}

#[inline(never)]
fn stack_address() -> usize {
    let marker = 0_u8;
    std::hint::black_box(&raw const marker) as usize
}

/// The functions that the budget is asked by.
pub(crate) fn funs() -> impl Iterator<Item = Fun<Engine>> {
    let step = Native::<Engine>::new(|cv| box_once(cv.0.data().budget.step().map(|()| cv.1)))
        .with_paths(|cv| box_once(cv.0.data().budget.step().map(|()| cv.1)))
        .with_update(|cv, f| match cv.0.data().budget.step() {
            Ok(()) => f(cv.1),
            Err(stop) => box_once(Err(stop)),
        });
    let range: Filter<RunPtr<Engine>> = ("range", v(3), |mut cv| {
        let (by, to, from) = (cv.0.pop_var(), cv.0.pop_var(), cv.0.pop_var());
        let budget = &cv.0.data().budget;
        Box::new(range(from, to, by).map(move |x| budget.step().and(x)))
    });
    [(STEP, v(0), step), jaq_core::native::run::<Engine>(range)].into_iter()
}

/// `from`, `from + by`, … as long as `to` is not reached; for ever if `by` is 0.
fn range<'a>(from: Val, to: Val, by: Val) -> impl Iterator<Item = Result<Val, Exn<'a, Val>>> {
    let direction = by.cmp(&Val::from(0_isize));
    let mut next = Some(Ok(from));
    std::iter::from_fn(move || match next.take()? {
        Ok(current) => {
            let more = match direction {
                Ordering::Greater => current < to,
                Ordering::Less => current > to,
                Ordering::Equal => current != to,
            };
            more.then(|| {
                next = Some((current.clone() + by.clone()).map_err(Exn::from));
                Ok(current)
            })
        }
        error => Some(error),
    })
}
