//! Functions of numbers. They are those of `libm`, which gives the same on every machine.

use super::{Native, native};
use crate::fail::{Exit, Fail};
use crate::value::{Num, Val};

/// A function of one number.
macro_rules! of_one {
    ($name:literal, $function:expr) => {
        native($name, 0, |_, input, _| {
            Ok(Val::float($function(number(&input)?)))
        })
    };
}

/// A function of its two arguments.
macro_rules! of_two {
    ($name:literal, $function:expr) => {
        native($name, 2, |_, _, arguments| {
            Ok(Val::float($function(
                number(&arguments[0])?,
                number(&arguments[1])?,
            )))
        })
    };
}

pub(super) const ALL: &[Native] = &[
    native("floor", 0, |_, input, _| whole(input, libm::floor)),
    native("ceil", 0, |_, input, _| whole(input, libm::ceil)),
    native("round", 0, |_, input, _| whole(input, libm::round)),
    native("trunc", 0, |_, input, _| whole(input, libm::trunc)),
    native("rint", 0, |_, input, _| whole(input, libm::rint)),
    native("nearbyint", 0, |_, input, _| whole(input, libm::rint)),
    of_one!("fabs", libm::fabs),
    of_one!("sqrt", libm::sqrt),
    of_one!("cbrt", libm::cbrt),
    of_one!("exp", libm::exp),
    of_one!("exp2", libm::exp2),
    of_one!("exp10", libm::exp10),
    of_one!("expm1", libm::expm1),
    of_one!("log", libm::log),
    of_one!("log2", libm::log2),
    of_one!("log10", libm::log10),
    of_one!("log1p", libm::log1p),
    of_one!("sin", libm::sin),
    of_one!("cos", libm::cos),
    of_one!("tan", libm::tan),
    of_one!("asin", libm::asin),
    of_one!("acos", libm::acos),
    of_one!("atan", libm::atan),
    of_one!("sinh", libm::sinh),
    of_one!("cosh", libm::cosh),
    of_one!("tanh", libm::tanh),
    of_one!("asinh", libm::asinh),
    of_one!("acosh", libm::acosh),
    of_one!("atanh", libm::atanh),
    of_one!("j0", libm::j0),
    of_one!("j1", libm::j1),
    of_one!("y0", libm::y0),
    of_one!("y1", libm::y1),
    of_one!("gamma", libm::lgamma),
    of_one!("lgamma", libm::lgamma),
    of_one!("tgamma", libm::tgamma),
    of_one!("logb", logb),
    of_one!("significand", significand),
    of_two!("pow", libm::pow),
    of_two!("atan2", libm::atan2),
    of_two!("fmod", libm::fmod),
    of_two!("fmin", libm::fmin),
    of_two!("fmax", libm::fmax),
    of_two!("fdim", libm::fdim),
    of_two!("copysign", libm::copysign),
    of_two!("nextafter", libm::nextafter),
    of_two!("nexttoward", libm::nextafter),
    of_two!("drem", libm::remainder),
    of_two!("ldexp", scaled),
    of_two!("scalb", scaled),
    of_two!("scalbln", scaled),
    native("fma", 3, |_, _, arguments| {
        let [x, y, z] = [&arguments[0], &arguments[1], &arguments[2]].map(number);
        Ok(Val::float(libm::fma(x?, y?, z?)))
    }),
    native("frexp", 0, |_, input, _| {
        let (mantissa, exponent) = libm::frexp(number(&input)?);
        Ok(vec![Val::float(mantissa), Val::int(exponent.into())].into())
    }),
    native("modf", 0, |_, input, _| {
        let (fraction, whole) = libm::modf(number(&input)?);
        Ok(vec![Val::float(fraction), Val::float(whole)].into())
    }),
    native("lgamma_r", 0, |_, input, _| {
        let (value, sign) = libm::lgamma_r(number(&input)?);
        Ok(vec![Val::float(value), Val::int(sign.into())].into())
    }),
    native("infinite", 0, |_, _, _| Ok(Val::float(f64::INFINITY))),
    native("nan", 0, |_, _, _| Ok(Val::float(f64::NAN))),
    native("isinfinite", 0, |_, input, _| {
        Ok(number(&input).is_ok_and(f64::is_infinite).into())
    }),
    native("isnan", 0, |_, input, _| {
        Ok(number(&input).is_ok_and(f64::is_nan).into())
    }),
    native("isnormal", 0, |_, input, _| {
        Ok(number(&input).is_ok_and(f64::is_normal).into())
    }),
    native("have_decnum", 0, |_, _, _| Ok(true.into())),
    native("have_literal_numbers", 0, |_, _, _| Ok(true.into())),
];

fn number(value: &Val) -> Result<f64, Fail> {
    match value {
        Val::Num(num) => Ok(num.as_f64()),
        other => Err(Fail::one(other.clone(), "number required")),
    }
}

/// Rounds; integers stay what they are.
fn whole(value: Val, round: fn(f64) -> f64) -> Result<Val, Exit> {
    match &value {
        Val::Num(Num::Int(_) | Num::Big(_)) => Ok(value),
        _ => Ok(Val::float(round(number(&value)?))),
    }
}

fn scaled(value: f64, exponent: f64) -> f64 {
    libm::ldexp(value, exponent as i32)
}

fn logb(value: f64) -> f64 {
    if value == 0.0 {
        f64::NEG_INFINITY
    } else if value.is_finite() {
        f64::from(libm::ilogb(value))
    } else {
        value.abs()
    }
}

fn significand(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        value
    } else {
        libm::ldexp(value, -libm::ilogb(value))
    }
}
