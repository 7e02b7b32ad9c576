//! Calculating with values.

use std::sync::Arc;

use num_bigint::BigInt;

use super::{DEEPEST, Map, Num, Text, Val};
use crate::budget::Budget;
use crate::fail::{Exit, Fail};

/// Sums of at most this size are not counted: most are small, and texts and arrays grow in place.
const SMALL_SUM: u64 = 1 << 20;

/// Bytes that a text never has by being repeated.
const MOST_REPEATED: u64 = i32::MAX as u64;

/// An operation on two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Math {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

/// Calculates.
///
/// # Errors
/// If the values are of other kinds, on a division by zero, and if the budget does not suffice.
pub(crate) fn calculate(op: Math, left: Val, right: Val, budget: &Budget) -> Result<Val, Exit> {
    match op {
        Math::Add => {
            let sum = add(left, right)?;
            count(&sum, budget)?;
            Ok(sum)
        }
        Math::Sub => {
            let difference = subtract(left, right)?;
            count(&difference, budget)?;
            Ok(difference)
        }
        Math::Mul => multiply(left, right, budget),
        Math::Div => divide(left, right),
        Math::Rem => remainder(left, right),
    }
}

/// Counts a sum, if it is large.
fn count(sum: &Val, budget: &Budget) -> Result<(), Exit> {
    match sum {
        Val::Num(Num::Big(integer)) => budget.integer(integer.bits(), 0),
        _ => match size(sum) {
            size if size > SMALL_SUM => budget.make(size),
            _ => Ok(()),
        },
    }
}

/// About how many bytes a value takes, without what is in it.
fn size(value: &Val) -> u64 {
    let elements = |count: usize| count * size_of::<Val>();
    (match value {
        Val::Null | Val::Bool(_) | Val::Num(_) => 0,
        Val::Str(text) => text.len(),
        Val::Arr(array) => elements(array.len()),
        Val::Obj(map) => elements(2 * map.len()),
    }) as u64
}

pub(crate) fn add(left: Val, right: Val) -> Result<Val, Fail> {
    match (left, right) {
        (Val::Null, value) | (value, Val::Null) => Ok(value),
        (Val::Num(Num::Int(x)), Val::Num(Num::Int(y))) => Ok(Val::Num(match x.checked_add(y) {
            Some(sum) => Num::Int(sum),
            None => Num::of_big(BigInt::from(x) + y),
        })),
        (Val::Num(x), Val::Num(y)) => Ok(numbers(&x, &y, |x, y| x + y, |x, y| x + y)),
        (Val::Str(mut x), Val::Str(y)) => {
            x.bytes_mut().extend_from_slice(&y);
            Ok(Val::Str(x))
        }
        (Val::Arr(mut x), Val::Arr(y)) => {
            Arc::make_mut(&mut x).extend(y.iter().cloned());
            Ok(Val::Arr(x))
        }
        (Val::Obj(mut x), Val::Obj(y)) => {
            let entries = y.iter().map(|(key, value)| (key.clone(), value.clone()));
            Arc::make_mut(&mut x).extend(entries);
            Ok(Val::Obj(x))
        }
        (x, y) => Err(Fail::two(x, y, "cannot be added")),
    }
}

fn subtract(left: Val, right: Val) -> Result<Val, Fail> {
    match (left, right) {
        (Val::Num(Num::Int(x)), Val::Num(Num::Int(y))) => Ok(Val::Num(match x.checked_sub(y) {
            Some(difference) => Num::Int(difference),
            None => Num::of_big(BigInt::from(x) - y),
        })),
        (Val::Num(x), Val::Num(y)) => Ok(numbers(&x, &y, |x, y| x - y, |x, y| x - y)),
        (Val::Arr(mut x), Val::Arr(y)) => {
            let mut gone: Vec<&Val> = y.iter().collect();
            gone.sort_unstable();
            let stays = |value: &Val| {
                let at = gone.partition_point(|other| *other < value);
                !gone[at..].first().is_some_and(|other| other.equals(value))
            };
            Arc::make_mut(&mut x).retain(stays);
            Ok(Val::Arr(x))
        }
        (x, y) => Err(Fail::two(x, y, "cannot be subtracted")),
    }
}

fn multiply(left: Val, right: Val, budget: &Budget) -> Result<Val, Exit> {
    match (left, right) {
        (Val::Num(Num::Int(x)), Val::Num(Num::Int(y))) if x.checked_mul(y).is_some() => {
            Ok(Val::int(x * y))
        }
        (Val::Num(x), Val::Num(y)) => {
            if let (Some(x), Some(y)) = (big(&x), big(&y)) {
                let (left, right) = (x.bits(), y.bits());
                budget.integer(left + right, left.div_ceil(64) * right.div_ceil(64))?;
            }
            Ok(numbers(&x, &y, |x, y| x * y, |x, y| x * y))
        }
        (Val::Str(text), Val::Num(times)) | (Val::Num(times), Val::Str(text)) => {
            let times = times.as_f64();
            if times < 0.0 || times.is_nan() {
                return Ok(Val::Null);
            }
            let times = times as u64;
            if (text.len() as u64).saturating_mul(times) >= MOST_REPEATED {
                return Err(Fail::text("Repeat string result too long").into());
            }
            budget.make((text.len() as u64).saturating_mul(times))?;
            Ok(Val::Str(text.repeat(times as usize).into()))
        }
        (Val::Obj(mut x), Val::Obj(y)) => {
            merge(&mut x, &y, 0)?;
            Ok(Val::Obj(x))
        }
        (x, y) => Err(Fail::two(x, y, "cannot be multiplied").into()),
    }
}

fn merge(into: &mut Arc<Map>, other: &Map, depth: usize) -> Result<(), Fail> {
    if depth > DEEPEST {
        return Err(Fail::text("Object merge too deep"));
    }
    let into = Arc::make_mut(into);
    for (key, value) in other {
        match (into.get_mut(key), value) {
            (Some(Val::Obj(x)), Val::Obj(y)) => merge(x, y, depth + 1)?,
            (Some(x), _) => *x = value.clone(),
            (None, _) => drop(into.insert(key.clone(), value.clone())),
        }
    }
    Ok(())
}

fn divide(left: Val, right: Val) -> Result<Val, Exit> {
    let zero = "cannot be divided because the divisor is zero";
    match (left, right) {
        (Val::Num(x), Val::Num(y)) => {
            let divisor = y.as_f64();
            if divisor == 0.0 {
                return Err(Fail::two(Val::Num(x), Val::Num(y), zero).into());
            }
            if let (Some(x), Some(y)) = (big(&x), big(&y))
                && &x % &y == BigInt::ZERO
            {
                return Ok(Val::Num(Num::of_big(x / y)));
            }
            Ok(Val::float(x.as_f64() / divisor))
        }
        (Val::Str(x), Val::Str(y)) => Ok(split(&x, &y)),
        (x, y) => Err(Fail::two(x, y, "cannot be divided").into()),
    }
}

/// The parts of a text between the separators; every character if the separator is empty.
pub(crate) fn split(text: &Text, separator: &Text) -> Val {
    let part = |bytes: &[u8]| Val::Str(bytes.to_vec().into());
    let parts: Vec<Val> = if text.is_empty() {
        Vec::new()
    } else if separator.is_empty() {
        text.points()
            .map(|point| Val::Str(Text::from_points(std::iter::once(point))))
            .collect()
    } else {
        let mut parts = Vec::new();
        let mut from = 0;
        for at in memchr::memmem::find_iter(text, &separator[..]) {
            parts.push(part(&text[from..at]));
            from = at + separator.len();
        }
        parts.push(part(&text[from..]));
        parts
    };
    parts.into()
}

fn remainder(left: Val, right: Val) -> Result<Val, Exit> {
    let zero = "cannot be divided (remainder) because the divisor is zero";
    match (left, right) {
        (Val::Num(x), Val::Num(y)) => {
            if x.as_f64().is_nan() || y.as_f64().is_nan() {
                return Ok(Val::float(f64::NAN));
            }
            let whole = |num: &Num| big(num).unwrap_or_else(|| BigInt::from(num.as_f64() as i64));
            let divisor = whole(&y);
            if divisor == BigInt::ZERO {
                return Err(Fail::two(Val::Num(x), Val::Num(y), zero).into());
            }
            Ok(Val::Num(Num::of_big(whole(&x) % divisor)))
        }
        (x, y) => Err(Fail::two(x, y, "cannot be divided (remainder)").into()),
    }
}

/// Changes the sign.
pub(crate) fn negate(value: Val) -> Result<Val, Fail> {
    match value {
        Val::Num(Num::Int(x)) => Ok(Val::Num(Num::of_big(-BigInt::from(x)))),
        Val::Num(Num::Big(x)) => Ok(Val::Num(Num::of_big(-&*x))),
        Val::Num(Num::Float(x)) => Ok(Val::float(-x)),
        Val::Num(Num::Dec(text)) => {
            let negated = match text.strip_prefix('-') {
                Some(text) => text.to_owned(),
                None => format!("-{text}"),
            };
            Ok(Val::Num(Num::Dec(Arc::new(negated))))
        }
        other => Err(Fail::one(other, "cannot be negated")),
    }
}

fn numbers(
    x: &Num,
    y: &Num,
    exact: fn(BigInt, BigInt) -> BigInt,
    float: fn(f64, f64) -> f64,
) -> Val {
    Val::Num(match (big(x), big(y)) {
        (Some(x), Some(y)) => Num::of_big(exact(x, y)),
        _ => Num::of_f64(float(x.as_f64(), y.as_f64())),
    })
}

/// An integer that is calculated with exactly.
fn big(num: &Num) -> Option<BigInt> {
    match num {
        Num::Int(value) => Some(BigInt::from(*value)),
        Num::Big(value) => Some((**value).clone()),
        Num::Float(_) | Num::Dec(_) => None,
    }
}

/// Whether `a` contains `b`, as `contains` has it.
pub(crate) fn has_element(a: &Val, b: &Val, depth: usize) -> Result<bool, Fail> {
    if depth > DEEPEST {
        return Err(Fail::text("Containment check too deep"));
    }
    match (a, b) {
        (Val::Obj(x), Val::Obj(y)) => {
            for (key, value) in y.iter() {
                let inside = match x.get(key) {
                    Some(other) => has_element(other, value, depth + 1)?,
                    None => false,
                };
                if !inside {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Val::Arr(x), Val::Arr(y)) => {
            for value in y.iter() {
                let mut inside = false;
                for other in x
                    .iter()
                    .filter(|other| other.type_name() == value.type_name())
                {
                    inside = inside || has_element(other, value, depth + 1)?;
                }
                if !inside {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Val::Str(x), Val::Str(y)) => Ok(memchr::memmem::find(x, y).is_some()),
        (x, y) if x.type_name() == y.type_name() => Ok(x.equals(y)),
        (x, y) => Err(Fail::two(
            x.clone(),
            y.clone(),
            "cannot have their containment checked",
        )),
    }
}
