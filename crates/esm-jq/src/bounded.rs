//! The functions that ask the budget.
//!
//! A jq program loops only by recursion and by `range`; both ask here. So do `[…]`, which keeps what
//! it is given, and `+`, `-` and `*`, which make large values of small ones.

use std::cmp::Ordering;

use jaq_core::box_iter::box_once;
use jaq_core::native::{Filter, Fun, v};
use jaq_core::{Exn, Native, RunPtr};
use jaq_json::{Num, Val};

use crate::engine::Engine;

/// The name that recursive functions call the budget by.
pub(crate) const STEP: &str = "__esm_step";
/// What each element of a new array goes through.
pub(crate) const KEPT: &str = "__esm_kept";
/// What each sum and difference goes through.
pub(crate) const SUM: &str = "__esm_sum";
/// What replaces `*`.
pub(crate) const TIMES: &str = "__esm_times";

/// Sums of at most this size are not counted: most are small, and texts and arrays grow in place.
const SMALL_SUM: u64 = 1 << 20;

/// All of them.
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
        let budget = &cv.0.data().budget;
        let made = budget.make(counted);
        box_once(
            made.and_then(|()| budget.integer(bits(&cv.1), 0))
                .map(|()| cv.1),
        )
    });
    let times: Filter<RunPtr<Engine>> = (TIMES, v(2), |mut cv| {
        let (right, left) = (cv.0.pop_var(), cv.0.pop_var());
        let budget = &cv.0.data().budget;
        let (bits_left, bits_right) = (bits(&left), bits(&right));
        let words = bits_left.div_ceil(64) * bits_right.div_ceil(64);
        let made = budget
            .make(size_of_product(&left, &right))
            .and_then(|()| budget.integer(bits_left + bits_right, words));
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

/// The bits of an integer that is larger than a machine word; 0 for everything else.
fn bits(value: &Val) -> u64 {
    match value {
        Val::Num(Num::BigInt(integer)) => integer.bits(),
        _ => 0,
    }
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
