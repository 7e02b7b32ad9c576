//! Functions of the language that are made in Rust.

mod collection;
mod format;
mod masking;
mod math;
mod regex;
mod text;
mod time;

use crate::budget::Budget;
use crate::fail::Exit;
use crate::value::Val;

pub(crate) use format::Format;
pub(crate) use masking::pseudonym;
pub(crate) use regex::{check as check_regex, matches as regex_matches};

/// What a function makes of its input and its arguments.
pub(crate) type Run = fn(&Budget, Val, &[Val]) -> Result<Val, Exit>;

/// A function that gives one value of its input and the values of its arguments.
pub(crate) struct Native {
    name: &'static str,
    arity: usize,
    pub(crate) run: Run,
}

const fn native(name: &'static str, arity: usize, run: Run) -> Native {
    Native { name, arity, run }
}

/// The function of this name that takes so many arguments.
pub(crate) fn find(name: &str, arity: usize) -> Option<&'static Native> {
    let all = [
        collection::ALL,
        format::ALL,
        masking::ALL,
        math::ALL,
        regex::ALL,
        text::ALL,
        time::ALL,
    ];
    let mut all = all.into_iter().flatten();
    all.find(|native| native.name == name && native.arity == arity)
}
