//! What bounds a run of a program: steps, stack and memory.
//!
//! A jq program loops only by recursion and by `range`; both ask here. So do `[…]`, which keeps what
//! it is given, and `+` and `*`, which make large values of small ones. A stop is not an error of the
//! language, so that no `try` of the program can catch it and make the output depend on it.

use std::cell::Cell;
use std::cmp::Ordering;

use jaq_core::box_iter::box_once;
use jaq_core::native::{Filter, Fun, v};
use jaq_core::{Exn, Native, RunPtr};
use jaq_json::{Num, Val};

use crate::program::Engine;

/// The name that recursive functions call the budget by.
pub(crate) const STEP: &str = "__esm_step";
/// What each element of a new array goes through.
pub(crate) const KEPT: &str = "__esm_kept";
/// What each sum goes through.
pub(crate) const SUM: &str = "__esm_sum";
/// What replaces `*`.
pub(crate) const TIMES: &str = "__esm_times";

/// Sums of at most this size are not counted: most are small, and texts and arrays grow in place.
const SMALL_SUM: u64 = 1 << 20;

/// Why a run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It took all its steps: calls of recursive functions, and numbers of `range`.
    Steps,
    /// Its recursion used up its stack.
    Stack,
    /// It made more than it may.
    Memory,
}

/// What a run may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) steps: u64,
    /// In bytes, for recursion. A value that is nested by each step takes more when it is dropped.
    pub(crate) stack: usize,
    pub(crate) outputs: usize,
    /// In bytes: what it may make, whether it keeps it or not.
    pub(crate) memory: u64,
}

/// The budget of one run.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: Cell<u64>,
    memory: Cell<u64>,
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
            memory: Cell::new(limits.memory),
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
        Err(self.stop(stop))
    }

    /// Counts bytes that are about to be made, or were.
    fn make(&self, bytes: u64) -> Result<(), Exn<'static, Val>> {
        match self.memory.get().checked_sub(bytes) {
            Some(left) => {
                self.memory.set(left);
                Ok(())
            }
            None => {
                // whoever swallows the stop meets it again
                self.memory.set(0);
                self.steps.set(0);
                Err(self.stop(Stop::Memory))
            }
        }
    }

    fn stop(&self, stop: Stop) -> Exn<'static, Val> {
        self.stop.set(self.stop.get().or(Some(stop)));
        Exn::halt(1)
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
    let kept: Filter<RunPtr<Engine>> = (KEPT, v(0), |cv| {
        let made = cv.0.data().budget.make(size_of_element(&cv.1));
        box_once(made.map(|()| cv.1))
    });
    let sum: Filter<RunPtr<Engine>> = (SUM, v(0), |cv| {
        let size = size(&cv.1);
        let counted = if size > SMALL_SUM { size } else { 0 };
        box_once(cv.0.data().budget.make(counted).map(|()| cv.1))
    });
    let times: Filter<RunPtr<Engine>> = (TIMES, v(2), |mut cv| {
        let (right, left) = (cv.0.pop_var(), cv.0.pop_var());
        let made = cv.0.data().budget.make(size_of_product(&left, &right));
        box_once(made.and_then(|()| (left * right).map_err(Exn::from)))
    });
    let run = jaq_core::native::run::<Engine>;
    [
        (STEP, v(0), step),
        run(range),
        run(kept),
        run(sum),
        run(times),
    ]
    .into_iter()
}

/// About how many bytes a value takes, without what is in it.
fn size(value: &Val) -> u64 {
    let elements = |count: usize| count * size_of::<Val>();
    (match value {
        Val::Null | Val::Bool(_) | Val::Num(_) => 0,
        Val::TStr(text) | Val::BStr(text) => text.len(),
        Val::Arr(array) => elements(array.len()),
        Val::Obj(map) => elements(2 * map.len()),
    }) as u64
}

/// What an array takes for an element. Arrays and objects in it are shared with where they are from.
fn size_of_element(value: &Val) -> u64 {
    let text = match value {
        Val::TStr(text) | Val::BStr(text) => text.len(),
        _ => 0,
    };
    (size_of::<Val>() + text) as u64
}

/// A text is repeated; all else grows no more than a sum.
fn size_of_product(left: &Val, right: &Val) -> u64 {
    match (left, right) {
        (text @ (Val::TStr(_) | Val::BStr(_)), Val::Num(times))
        | (Val::Num(times), text @ (Val::TStr(_) | Val::BStr(_))) => {
            size(text).saturating_mul(whole(times))
        }
        _ => 0,
    }
}

/// How often a text is repeated.
fn whole(times: &Num) -> u64 {
    match times {
        Num::Int(times) => u64::try_from(*times).unwrap_or(0),
        Num::BigInt(times) => u64::try_from(&**times).unwrap_or(u64::MAX),
        // these repeat nothing
        _ => 0,
    }
}

/// `from`, `from + by`, … as long as `to` is not reached; endless if `by` is 0.
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
