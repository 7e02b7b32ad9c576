//! Dates that say less.

use std::fmt;
use std::str::FromStr;

/// How much of a date or a time is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DateUnit {
    /// The year: `2026-05-17` becomes `2026-01-01`.
    Year,
    /// The month: `2026-05-17` becomes `2026-05-01`.
    Month,
    /// The day: `2026-05-17T10:11:12.5Z` becomes `2026-05-17T00:00:00.0Z`.
    Day,
    /// The hour: `2026-05-17T10:11:12.5Z` becomes `2026-05-17T10:00:00.0Z`.
    Hour,
}

impl DateUnit {
    /// All units, from the largest.
    pub const ALL: [Self; 4] = [Self::Year, Self::Month, Self::Day, Self::Hour];

    /// The first date or time of the unit, in the form of the given one, so that whoever reads it
    /// reads it as before: `YYYY-MM-DD`, which a time may follow as in RFC 3339, with `T`, `t` or a
    /// space between, and with any zone, which stays. `None` for other texts.
    pub fn floor(self, text: &str) -> Option<String> {
        let mut floored = text.as_bytes().to_vec();
        let date = text.get(..10)?;
        check(date.as_bytes(), b"dddd-dd-dd")?;
        within(&date[5..7], 1, 12)?;
        within(&date[8..10], 1, 31)?;
        if let Some(rest) = text.get(10..).filter(|rest| !rest.is_empty()) {
            self.floor_time(rest, &mut floored[10..])?;
        }
        if matches!(self, Self::Year) {
            floored[5..7].copy_from_slice(b"01");
        }
        if matches!(self, Self::Year | Self::Month) {
            floored[8..10].copy_from_slice(b"01");
        }
        String::from_utf8(floored).ok()
    }

    /// Floors what follows a date: `T10:11:12.5Z`.
    fn floor_time(self, rest: &str, floored: &mut [u8]) -> Option<()> {
        let bytes = rest.as_bytes();
        if !matches!(bytes[0], b'T' | b't' | b' ') {
            return None;
        }
        check(bytes.get(1..9)?, b"dd:dd:dd")?;
        within(&rest[1..3], 0, 23)?;
        within(&rest[4..6], 0, 59)?;
        within(&rest[7..9], 0, 60)?;
        let mut end = 9;
        if bytes.get(9) == Some(&b'.') {
            let digits = bytes[10..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count();
            if digits == 0 {
                return None;
            }
            end = 10 + digits;
        }
        is_zone(&bytes[end..])?;
        let from = if matches!(self, Self::Hour) { 4 } else { 1 };
        for byte in &mut floored[from..end] {
            if byte.is_ascii_digit() {
                *byte = b'0';
            }
        }
        Some(())
    }

    /// Its name in programs: `year`, `month`, `day`, `hour`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }
}

/// Nothing, `Z`, or an offset as `+01:00`, `+0100` or `+01`.
fn is_zone(zone: &[u8]) -> Option<()> {
    match zone {
        [] | [b'Z' | b'z'] => Some(()),
        [b'+' | b'-', offset @ ..] => check(offset, b"dd:dd")
            .or_else(|| check(offset, b"dddd"))
            .or_else(|| check(offset, b"dd")),
        _ => None,
    }
}

/// Whether a text has this form, in which `d` means a digit.
fn check(text: &[u8], form: &[u8]) -> Option<()> {
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        form => byte == form,
    };
    (text.len() == form.len() && text.iter().zip(form).all(fits)).then_some(())
}

fn within(digits: &str, from: u32, to: u32) -> Option<()> {
    let number: u32 = digits.parse().ok()?;
    (from..=to).contains(&number).then_some(())
}

impl FromStr for DateUnit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|unit| unit.name() == text)
            .ok_or_else(|| format!("unknown unit of time: {text}: one of year, month, day, hour"))
    }
}

impl fmt::Display for DateUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_moment_of_the_unit_keeps_the_form() {
        let floors = |text: &str| DateUnit::ALL.map(|unit| unit.floor(text).unwrap_or_default());
        assert_eq!(
            floors("2026-05-17"),
            ["2026-01-01", "2026-05-01", "2026-05-17", "2026-05-17"]
        );
        assert_eq!(
            floors("2026-05-17T10:11:12.057+02:00"),
            [
                "2026-01-01T00:00:00.000+02:00",
                "2026-05-01T00:00:00.000+02:00",
                "2026-05-17T00:00:00.000+02:00",
                "2026-05-17T10:00:00.000+02:00"
            ]
        );
        assert_eq!(
            DateUnit::Day.floor("2026-05-17 10:11:12+00").as_deref(),
            Some("2026-05-17 00:00:00+00")
        );
        assert_eq!(
            DateUnit::Year.floor("2026-05-17t10:11:12").as_deref(),
            Some("2026-01-01t00:00:00")
        );
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2026",
            "2026-05",
            "2026-13-01",
            "2026-00-01",
            "2026-01-32",
            "26-05-17",
            "17.05.2026",
            "2026-05-17T",
            "2026-05-17T10:11",
            "2026-05-17T10:61:12",
            "2026-05-17T10:11:12.",
            "2026-05-17T10:11:12 CET",
            "2026-05-17T10:11:12+1",
            "2026-05-17x10:11:12",
            "２０２６-05-17",
            "2026-05-1é",
        ] {
            assert_eq!(DateUnit::Month.floor(text), None, "{text}");
        }
    }

    #[test]
    fn a_floor_is_its_own_floor() {
        for unit in DateUnit::ALL {
            let once = unit.floor("2026-12-31T23:59:60.9Z").expect("a time");
            assert_eq!(unit.floor(&once).as_ref(), Some(&once));
            assert_eq!(unit.name().parse(), Ok(unit));
        }
    }
}
