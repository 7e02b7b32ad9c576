//! Numbers: integers of any size, binary fractions, and decimals as they were written.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use num_bigint::BigInt;
use num_bigint::Sign;

/// Up to here, every integer is a binary fraction of 64 bits.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Digits that a decimal has at most for its binary fraction to have the same shortest decimal.
const SURE_DIGITS: usize = 15;

/// A number.
#[derive(Clone, Debug)]
pub(crate) enum Num {
    Int(i64),
    /// An integer that does not fit into 64 bits.
    Big(Arc<BigInt>),
    /// No integer that is exact, if it is made by [`Num::of_f64`].
    Float(f64),
    /// What was read, to the digit: a fraction, an exponent, or `-0`.
    Dec(Arc<String>),
}

impl Num {
    pub(crate) fn of_f64(value: f64) -> Self {
        if value.trunc() == value
            && value.abs() <= EXACT
            && !(value == 0.0 && value.is_sign_negative())
        {
            Self::Int(value as i64)
        } else {
            Self::Float(value)
        }
    }

    pub(crate) fn of_big(value: BigInt) -> Self {
        match i64::try_from(&value) {
            Ok(value) => Self::Int(value),
            Err(_) => Self::Big(Arc::new(value)),
        }
    }

    pub(crate) fn as_f64(&self) -> f64 {
        match self {
            Self::Int(value) => *value as f64,
            Self::Big(value) => to_f64(value),
            Self::Float(value) => *value,
            Self::Dec(text) => text.parse().unwrap_or(f64::NAN),
        }
    }

    pub(crate) fn is_nan(&self) -> bool {
        matches!(self, Self::Float(value) if value.is_nan())
    }

    /// The number as text, as jq gives it: JSON, whatever it is.
    pub(crate) fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Int(value) => Cow::Owned(value.to_string()),
            Self::Big(value) => Cow::Owned(value.to_string()),
            Self::Float(value) if value.is_nan() => Cow::Borrowed("null"),
            Self::Float(value) => Cow::Owned(float(value.clamp(f64::MIN, f64::MAX))),
            Self::Dec(text) => decimal_text(text),
        }
    }

    /// The number as a JSON number, digit by digit; `None` if it is none.
    pub(super) fn json(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Float(value) if !value.is_finite() => None,
            Self::Dec(text) => Some(Cow::Borrowed(text)),
            _ => Some(self.shown()),
        }
    }

    /// The number as an integer, if it is one in this range; `2.0` and `2e0` are 2.
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => Decimal::parse(&self.json()?)?.integer(),
        }
    }
}

/// The binary fraction that is nearest.
fn to_f64(value: &BigInt) -> f64 {
    // the parser rounds correctly
    value.to_string().parse().unwrap_or(f64::NAN)
}

/// A finite binary fraction in the fewest digits that name it.
fn float(value: f64) -> String {
    let text = format!("{:e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = mantissa.replace('.', "");
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let count = digits.len() as i32;
    let digits = if point <= -4 || point > count + 15 {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let exponent = point - 1;
        let minus = if exponent < 0 { '-' } else { '+' };
        format!("{first}{dot}{rest}e{minus}{:02}", exponent.abs())
    } else if point <= 0 {
        format!("0.{}{digits}", "0".repeat(-point as usize))
    } else if point >= count {
        format!("{digits}{}", "0".repeat((point - count) as usize))
    } else {
        let (whole, fraction) = digits.split_at(point as usize);
        format!("{whole}.{fraction}")
    };
    format!("{sign}{digits}")
}

/// A decimal as decimal arithmetic writes it: plain, or with one digit before the point and an
/// exponent.
fn decimal_text(text: &str) -> Cow<'_, str> {
    if !text.contains(['e', 'E']) && !text.starts_with("0.000000") && !text.starts_with("-0.000000")
    {
        return Cow::Borrowed(text);
    }
    let Some(decimal) = Decimal::parse(text) else {
        return Cow::Borrowed(text);
    };
    let all: String = decimal.digits().map(char::from).collect();
    let digits = match all.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let sign = if decimal.negative { "-" } else { "" };
    let last = i128::from(decimal.exponent) - decimal.fraction.len() as i128;
    let adjusted = last + digits.len() as i128 - 1;
    if last > 0 || adjusted < -6 {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let plus = if adjusted < 0 { "-" } else { "+" };
        return Cow::Owned(format!("{sign}{first}{dot}{rest}E{plus}{}", adjusted.abs()));
    }
    let places = -last as usize;
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    let dot = if fraction.is_empty() { "" } else { "." };
    Cow::Owned(format!("{sign}{whole}{dot}{fraction}"))
}

impl Ord for Num {
    /// One exact order. A binary fraction is the number that its shortest decimal names, so that
    /// every number is one decimal. NaN is the least.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(x), Self::Int(y)) => x.cmp(y),
            (Self::Big(x), Self::Big(y)) => x.cmp(y),
            (Self::Dec(x), Self::Dec(y)) if Arc::ptr_eq(x, y) || x == y => Ordering::Equal,
            _ => match (self.rough(), other.rough()) {
                (Some(x), Some(y)) => compare_floats(x, y),
                _ => compare_exactly(self, other),
            },
        }
    }
}

impl Num {
    /// As a binary fraction, which is finite unless the number is none.
    fn bounded(&self) -> f64 {
        match self {
            Self::Float(value) => *value,
            other => other.as_f64().clamp(f64::MIN, f64::MAX),
        }
    }

    /// A binary fraction that is compared in its stead.
    fn rough(&self) -> Option<f64> {
        match self {
            Self::Int(value) => {
                let float = *value as f64;
                (float.abs() < EXACT).then_some(float)
            }
            Self::Big(_) => None,
            Self::Float(value) => (!value.is_finite() || value.abs() < EXACT).then_some(*value),
            Self::Dec(text) => {
                let short = text.len() <= SURE_DIGITS && !text.contains(['e', 'E']);
                short.then(|| self.as_f64())
            }
        }
    }
}

fn compare_floats(x: f64, y: f64) -> Ordering {
    let by_nan = (!x.is_nan()).cmp(&!y.is_nan());
    x.partial_cmp(&y).unwrap_or(by_nan)
}

fn compare_exactly(x: &Num, y: &Num) -> Ordering {
    let (a, b) = (x.json(), y.json());
    match (
        a.as_deref().and_then(Decimal::parse),
        b.as_deref().and_then(Decimal::parse),
    ) {
        (Some(a), Some(b)) => a.compare(&b),
        // one of them is NaN or an infinity, which no other number is
        _ => compare_floats(x.bounded(), y.bounded()),
    }
}

impl PartialOrd for Num {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Num {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Num {}

/// Whether two numbers denote the same one: `1.10` and `1.1`, `1e2` and `100`.
///
/// What is no JSON number (NaN, infinities) equals nothing.
pub(super) fn same(a: &Num, b: &Num) -> bool {
    let finite = |num: &Num| !matches!(num, Num::Float(value) if !value.is_finite());
    finite(a) && finite(b) && a == b
}

/// A decimal number: sign, digits before and after the point, and the exponent.
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let negative = text.starts_with('-');
        let rest = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        (!mantissa.is_empty() && digits(whole) && digits(fraction)).then_some(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    fn digits(&self) -> impl DoubleEndedIterator<Item = u8> + Clone {
        self.whole.bytes().chain(self.fraction.bytes())
    }

    /// Number of leading zeros, and of digits between them and the trailing zeros.
    fn significant(&self) -> (usize, usize) {
        let length = self.whole.len() + self.fraction.len();
        let leading = self.digits().take_while(|d| *d == b'0').count();
        let trailing = self.digits().rev().take_while(|d| *d == b'0').count();
        (leading, length.saturating_sub(leading + trailing))
    }

    fn sign(&self) -> Sign {
        match (self.significant().1, self.negative) {
            (0, _) => Sign::NoSign,
            (_, true) => Sign::Minus,
            (_, false) => Sign::Plus,
        }
    }

    /// The power of ten of the first significant digit.
    fn magnitude(&self, leading: usize) -> i128 {
        self.whole.len() as i128 - leading as i128 + i128::from(self.exponent)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let sign = self.sign();
        let by_sign = sign.cmp(&other.sign());
        if by_sign != Ordering::Equal || sign == Sign::NoSign {
            return by_sign;
        }
        let (ours, theirs) = (self.significant(), other.significant());
        let digits = |decimal: &Self, (leading, count): (usize, usize)| -> Vec<u8> {
            decimal.digits().skip(leading).take(count).collect()
        };
        let by_size = self
            .magnitude(ours.0)
            .cmp(&other.magnitude(theirs.0))
            .then_with(|| digits(self, ours).cmp(&digits(other, theirs)));
        if sign == Sign::Minus {
            by_size.reverse()
        } else {
            by_size
        }
    }

    fn integer(&self) -> Option<i64> {
        let (leading, count) = self.significant();
        if count == 0 {
            return Some(0);
        }
        let zeros = self.magnitude(leading) - count as i128;
        if !(0..=18).contains(&zeros) || count > 19 {
            return None;
        }
        let digits = self.digits().skip(leading).take(count);
        let value = digits.fold(0_i128, |value, d| value * 10 + i128::from(d - b'0'));
        let value = value.checked_mul(10_i128.pow(zeros as u32))?;
        i64::try_from(if self.negative { -value } else { value }).ok()
    }
}

/// An exponent, which may have more digits than any number has.
fn exponent_of(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let most = if text.starts_with('-') {
        i64::MIN / 2
    } else {
        i64::MAX / 2
    };
    Some(text.parse().unwrap_or(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Num {
        Num::Dec(Arc::new(text.to_owned()))
    }

    #[test]
    fn numbers_are_equal_if_they_denote_the_same_number_exactly() {
        for (a, b, equal) in [
            ("1.10", "1.1", true),
            ("1e2", "100", true),
            ("100e-2", "1", true),
            ("0.000", "-0e7", true),
            ("-1.5", "1.5", false),
            ("0.1", "0.10000000000000001", false),
            ("1e400", "1e401", false),
            ("1e400", "10e399", true),
            ("12345678901234567890", "12345678901234567891", false),
            ("1e99999999999999999999", "1e99999999999999999999", true),
        ] {
            assert_eq!(same(&dec(a), &dec(b)), equal, "{a} {b}");
        }
        assert!(same(&Num::Float(1.5), &dec("1.50")));
        assert!(!same(
            &Num::Int(9007199254740993),
            &Num::Float(9007199254740992.0)
        ));
        assert!(!same(&Num::Float(f64::NAN), &Num::Float(f64::NAN)));
    }

    #[test]
    fn there_is_one_order_of_numbers() {
        let big = |text: &str| Num::of_big(text.parse().unwrap());
        let ascending = [
            Num::Float(f64::NAN),
            Num::Float(f64::NEG_INFINITY),
            dec("-1e400"),
            big("-12345678901234567890"),
            Num::Int(-9007199254740993),
            dec("-9007199254740992.5"),
            Num::Float(-1.5),
            dec("-0.5"),
            Num::Int(0),
            Num::Float(0.1),
            dec("0.10000000000000001"),
            Num::Int(1),
            Num::Int(9007199254740992),
            Num::Int(9007199254740993),
            big("12345678901234567890"),
            dec("12345678901234567890.5"),
            Num::Float(1e30),
            dec("1e400"),
            Num::Float(f64::INFINITY),
        ];
        for (at, a) in ascending.iter().enumerate() {
            for (other, b) in ascending.iter().enumerate() {
                assert_eq!(a.cmp(b), at.cmp(&other), "{a:?} {b:?}");
            }
        }
        assert_eq!(Num::Float(0.1), dec("0.1"));
        assert_eq!(Num::Float(9007199254740992.0), dec("9007199254740992.0"));
    }

    #[test]
    fn numbers_are_shown_as_in_jq() {
        for (value, text) in [
            (1e17, "1e+17"),
            (1.5e300, "1.5e+300"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (123456789012345680000.0, "123456789012345680000"),
            (-0.3, "-0.3"),
            (f64::INFINITY, "1.7976931348623157e+308"),
            (f64::NAN, "null"),
            (12.5, "12.5"),
        ] {
            assert_eq!(Num::Float(value).shown(), text);
        }
        for (given, text) in [
            ("1.10", "1.10"),
            ("1e1000", "1E+1000"),
            ("1e-5", "0.00001"),
            ("1e-7", "1E-7"),
            ("1E2", "1E+2"),
            ("-0.0", "-0.0"),
            ("1.50e1", "15.0"),
            ("0.00000001", "1E-8"),
        ] {
            assert_eq!(dec(given).shown(), text);
        }
    }

    #[test]
    fn integers_are_known_however_they_are_written() {
        for (text, value) in [
            ("2.0", Some(2)),
            ("20e-1", Some(2)),
            ("-3", Some(-3)),
            ("0.0", Some(0)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("2.5", None),
            ("1e30", None),
        ] {
            assert_eq!(dec(text).integer(), value, "{text}");
        }
    }
}
