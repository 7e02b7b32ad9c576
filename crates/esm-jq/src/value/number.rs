//! Numbers, compared and written exactly.

use std::borrow::Cow;

use jaq_json::{Num, Rc};

/// Whether two numbers denote the same one: `1.10` and `1.1`, `1e2` and `100`.
///
/// Nothing is rounded: `0.1` and `0.10000000000000001` differ although they are the same binary
/// fraction. What is no JSON number (NaN, infinities) equals nothing.
pub(super) fn same(a: &Num, b: &Num) -> bool {
    match (a, b) {
        (Num::Int(x), Num::Int(y)) => x == y,
        (Num::BigInt(x), Num::BigInt(y)) => x == y,
        (Num::Dec(x), Num::Dec(y)) if Rc::ptr_eq(x, y) || x == y => true,
        _ => {
            let (a, b) = (text(a), text(b));
            match (Decimal::parse(&a), Decimal::parse(&b)) {
                (Some(a), Some(b)) => a.same(&b),
                _ => false,
            }
        }
    }
}

/// The number as a JSON number, digit by digit; `None` if it is none.
pub(super) fn json(num: &Num) -> Option<Cow<'_, str>> {
    let text = text(num);
    let decimal = Decimal::parse(&text)?;
    if decimal.is_json(&text) {
        return Some(text);
    }
    // The jq language reads more than JSON does: leading zeros and a plus sign.
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let sign = if decimal.negative { "-" } else { "" };
    let zeros = digits.len() - digits.trim_start_matches('0').len();
    let zeros = zeros.min(decimal.whole.len() - 1);
    Some(Cow::Owned(format!("{sign}{}", &digits[zeros..])))
}

/// The number as an integer, if it is one in this range; `2.0` and `2e0` are 2.
pub(crate) fn integer(num: &Num) -> Option<i64> {
    match num {
        Num::Int(i) => i64::try_from(*i).ok(),
        _ => Decimal::parse(&text(num))?.integer(),
    }
}

fn text(num: &Num) -> Cow<'_, str> {
    match num {
        Num::Dec(text) => Cow::Borrowed(text),
        _ => Cow::Owned(num.to_string()),
    }
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
        let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        (!whole.is_empty() && digits(whole) && digits(fraction)).then_some(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    fn is_json(&self, text: &str) -> bool {
        !text.starts_with('+') && (self.whole.len() == 1 || !self.whole.starts_with('0'))
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

    /// The power of ten of the first significant digit.
    fn magnitude(&self, leading: usize) -> i128 {
        self.whole.len() as i128 - leading as i128 + i128::from(self.exponent)
    }

    fn same(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.significant(), other.significant());
        if ours.1 == 0 || theirs.1 == 0 {
            return ours.1 == theirs.1;
        }
        self.negative == other.negative
            && ours.1 == theirs.1
            && self.magnitude(ours.0) == other.magnitude(theirs.0)
            && self
                .digits()
                .skip(ours.0)
                .take(ours.1)
                .eq(other.digits().skip(theirs.0).take(theirs.1))
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
        let value = value * 10_i128.pow(zeros as u32);
        i64::try_from(if self.negative { -value } else { value }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Num {
        Num::Dec(Rc::new(text.to_owned()))
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
            ("1e99999999999999999999", "1e99999999999999999998", false),
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
    fn numbers_are_written_digit_by_digit() {
        for (text, written) in [
            ("1.10", Some("1.10")),
            ("-0", Some("-0")),
            ("+1.5", Some("1.5")),
            ("00.50", Some("0.50")),
            ("-007e1", Some("-7e1")),
            ("1e400", Some("1e400")),
            ("NaN", None),
            ("1.", None),
        ] {
            assert_eq!(json(&dec(text)).as_deref(), written, "{text}");
        }
        assert_eq!(json(&Num::Float(f64::INFINITY)), None);
        assert_eq!(json(&Num::Float(2.0)).as_deref(), Some("2.0"));
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
            assert_eq!(integer(&dec(text)), value, "{text}");
        }
    }
}
