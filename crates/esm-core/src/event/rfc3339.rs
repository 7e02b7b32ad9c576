//! Which texts are times.

/// Returns whether a text is a date and time of [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339#section-5.6).
///
/// The fraction may have any number of digits. Second 60 is accepted where a leap second can be: in
/// the last minute of a month, in UTC.
///
/// # Example
/// ```
/// use esm_core::event::is_rfc3339;
///
/// assert!(is_rfc3339("2026-01-02T03:04:05.678+02:00"));
/// assert!(!is_rfc3339("2026-02-30T00:00:00Z"));
/// ```
pub fn is_rfc3339(text: &str) -> bool {
    parse(text.as_bytes()).is_some()
}

fn parse(text: &[u8]) -> Option<()> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T' | b't',
        clock @ ..,
    ] = date_time
    else {
        return None;
    };
    let [h1, h2, b':', n1, n2, b':', s1, s2] = clock else {
        return None;
    };
    let year = 100 * number(*y1, *y2, 99)? + number(*y3, *y4, 99)?;
    let month = number(*m1, *m2, 12).filter(|month| *month > 0)?;
    let last_day = days_of(year, month);
    let day = number(*d1, *d2, last_day).filter(|day| *day > 0)?;
    let minute = 60 * number(*h1, *h2, 23)? + number(*n1, *n2, 59)?;
    let second = number(*s1, *s2, 60)?;
    let utc = minute - offset(after_fraction(rest)?)?;
    // the day in UTC is the last of a month, whatever day it is at the offset
    let last = match utc.div_euclid(MINUTES_OF_DAY) {
        -1 => day == 1,
        0 => day == last_day,
        _ => day + 1 == last_day,
    };
    let may_leap = last && utc.rem_euclid(MINUTES_OF_DAY) == MINUTES_OF_DAY - 1;
    (second < 60 || may_leap).then_some(())
}

const MINUTES_OF_DAY: i32 = 24 * 60;

/// Two digits, up to a limit.
fn number(tens: u8, ones: u8, most: i32) -> Option<i32> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
    Some(10 * digit(tens)? + digit(ones)?).filter(|number| *number <= most)
}

fn days_of(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn after_fraction(rest: &[u8]) -> Option<&[u8]> {
    let Some(fraction) = rest.strip_prefix(b".") else {
        return Some(rest);
    };
    let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    (digits > 0).then(|| &fraction[digits..])
}

/// Minutes that local time is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i32> {
    match zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let minutes = 60 * number(*h1, *h2, 23)? + number(*m1, *m2, 59)?;
            Some(if *sign == b'+' { minutes } else { -minutes })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        for text in [
            "2024-02-29T10:00:00Z",
            "2000-02-29T10:00:00Z",
            "2024-01-31t10:00:00.123456789+02:00",
            "2024-01-31T10:00:00.1234567890z",
            "0001-01-01T00:00:00-00:30",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59-23:59",
        ] {
            assert!(is_rfc3339(text), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2024-01-31",
            "2024-01-31T10:00:00",
            "2024-01-31T10:00:00.Z",
            "2024-01-31T10:00:00,5Z",
            "2024-00-31T10:00:00Z",
            "2024-13-31T10:00:00Z",
            "2024-01-00T10:00:00Z",
            "2024-04-31T10:00:00Z",
            "2023-02-29T10:00:00Z",
            "1900-02-29T10:00:00Z",
            "10000-01-01T00:00:00Z",
            "2024-01-31T24:00:00Z",
            "2024-01-31T10:60:00Z",
            "2024-01-31T10:00:61Z",
            "2024-01-31 10:00:00Z",
            "2024-01-31T10:00:00+0200",
            "2024-01-31T10:00:00+24:00",
            "2024-01-31T10:00:00+02:60",
            "2024-01-31T10:00:00GMT",
            "2024-01-31T10:00:00Z ",
            "2024-01-31T10:00:00+02:00[Europe/Berlin]",
            "2024-01-31T10:00:0\u{663}Z",
        ] {
            assert!(!is_rfc3339(text), "{text}");
        }
    }

    #[test]
    fn a_leap_second_is_in_the_last_minute_of_a_month_in_utc() {
        for text in [
            "2016-12-31T23:59:60Z",
            "1990-12-31T15:59:60-08:00",
            "2015-07-01T01:59:60+02:00",
            "2015-06-30T00:00:60-23:59",
            "2016-06-30T23:59:60.5Z",
        ] {
            assert!(is_rfc3339(text), "{text}");
        }
        for text in [
            "2024-01-31T10:00:60Z",
            "2016-12-30T23:59:60Z",
            "2016-12-31T23:58:60Z",
            "2016-12-31T23:59:60+01:00",
            "2015-07-02T01:59:60+02:00",
            "2015-06-30T15:59:60-09:00",
        ] {
            assert!(!is_rfc3339(text), "{text}");
        }
    }
}
