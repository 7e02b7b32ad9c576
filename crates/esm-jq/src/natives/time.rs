//! Time, in UTC.

use super::{Native, native};
use crate::fail::{Exit, Fail};
use crate::value::{Num, Text, Val};

pub(super) const ALL: &[Native] = &[
    native("gmtime", 0, |_, input, _| match &input {
        Val::Num(seconds) => Ok(broken_down(seconds.as_f64())?.to_value()),
        _ => Err(Fail::text("gmtime() requires numeric inputs").into()),
    }),
    native("mktime", 0, |_, input, _| match &input {
        Val::Arr(parts) => {
            let what = "mktime requires parsed datetime inputs";
            let time = Time::of(parts).ok_or_else(|| Fail::text(what))?;
            Ok(Val::float(time.seconds()))
        }
        _ => Err(Fail::text("mktime requires array inputs").into()),
    }),
    native("strftime", 1, |_, input, arguments| {
        let what = "strftime/1 requires parsed datetime inputs";
        let time = match &input {
            Val::Num(seconds) => broken_down(seconds.as_f64())?,
            // parts beyond their range carry over, and the day of the week follows
            Val::Arr(parts) => {
                let time = Time::of(parts).ok_or_else(|| Fail::text(what))?;
                broken_down(time.seconds())?
            }
            _ => return Err(Fail::text(what).into()),
        };
        match &arguments[0] {
            Val::Str(format) => Ok(write(&time, format)?.into()),
            _ => Err(Fail::text("strftime/1 requires a string format").into()),
        }
    }),
    native("strptime", 1, |_, input, arguments| {
        match (&input, &arguments[0]) {
            (Val::Str(text), Val::Str(format)) => read(text, format),
            _ => {
                let what = "strptime/1 requires string inputs and arguments";
                Err(Fail::text(what).into())
            }
        }
    }),
];

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A time as jq takes it apart: months, days of the week and of the year count from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Time {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: f64,
    week_day: i64,
    year_day: i64,
}

/// Days from 1970-01-01 to a day, whose month may be any.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year + month.div_euclid(12);
    let month = month.rem_euclid(12) + 1;
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The year, the month and the day so many days after 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = (shifted + 2) % 12;
    let year = era * 400 + year + i64::from(month < 2);
    (year, month, day)
}

fn broken_down(seconds: f64) -> Result<Time, Fail> {
    // the years of times that can be written
    if seconds.is_nan() || seconds.abs() > 1e15 {
        return Err(Fail::text(
            "error converting number of seconds since epoch to datetime",
        ));
    }
    // as jq: the second is cut towards 0, and the fraction counts from the second below
    let (whole, fraction) = (seconds.trunc() as i64, seconds - seconds.floor());
    let of_day = whole.rem_euclid(86_400);
    let days_since = whole.div_euclid(86_400);
    let (year, month, day) = date(days_since);
    Ok(Time {
        year,
        month,
        day,
        hour: of_day / 3600,
        minute: of_day / 60 % 60,
        second: (of_day % 60) as f64 + fraction,
        week_day: (days_since + 4).rem_euclid(7),
        year_day: days_since - days(year, 0, 1),
    })
}

impl Time {
    /// Of an array, whose missing parts are 0; a missing year is 1900, as in C.
    fn of(parts: &[Val]) -> Option<Self> {
        let mut numbers = [1900.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        for (number, part) in numbers.iter_mut().zip(parts) {
            match part {
                Val::Num(num) if !num.is_nan() => *number = num.as_f64().clamp(-1e9, 1e9),
                _ => return None,
            }
        }
        let [year, month, day, hour, minute, second, week_day, year_day] = numbers;
        Some(Self {
            year: year as i64,
            month: month as i64,
            day: day as i64,
            hour: hour as i64,
            minute: minute as i64,
            second: second.trunc(),
            week_day: week_day as i64,
            year_day: year_day as i64,
        })
    }

    fn to_value(self) -> Val {
        let parts = [self.year, self.month, self.day, self.hour, self.minute];
        let mut parts: Vec<Val> = parts.into_iter().map(Val::int).collect();
        parts.push(Val::Num(Num::of_f64(self.second)));
        parts.extend([Val::int(self.week_day), Val::int(self.year_day)]);
        parts.into()
    }

    fn seconds(&self) -> f64 {
        let days = days(self.year, self.month, self.day);
        let of_day = self.hour * 3600 + self.minute * 60;
        (days * 86_400 + of_day) as f64 + self.second
    }
}

fn name(names: &[&'static str], at: i64) -> &'static str {
    usize::try_from(at)
        .ok()
        .and_then(|at| names.get(at))
        .copied()
        .unwrap_or("?")
}

/// Writes a time by a format of `strftime`.
fn write(time: &Time, format: &Text) -> Result<String, Fail> {
    let format = format.to_str();
    let mut text = String::with_capacity(format.len() * 2);
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some(directive) => text.push_str(&written(time, directive)?),
            None => text.push('%'),
        }
    }
    Ok(text)
}

fn written(time: &Time, directive: char) -> Result<String, Fail> {
    let second = time.second.floor() as i64;
    let hour12 = (time.hour + 11).rem_euclid(12) + 1;
    let again = |format: &str| write(time, &format.into());
    Ok(match directive {
        'A' => name(&DAYS, time.week_day).to_owned(),
        'a' => name(&DAYS, time.week_day).chars().take(3).collect(),
        'B' => name(&MONTHS, time.month).to_owned(),
        'b' | 'h' => name(&MONTHS, time.month).chars().take(3).collect(),
        'C' => format!("{:02}", time.year.div_euclid(100)),
        'c' => return again("%a %b %e %H:%M:%S %Y"),
        'D' | 'x' => return again("%m/%d/%y"),
        'd' => format!("{:02}", time.day),
        'e' => format!("{:2}", time.day),
        'F' => return again("%Y-%m-%d"),
        'G' => iso_week(time).0.to_string(),
        'g' => format!("{:02}", iso_week(time).0.rem_euclid(100)),
        'H' => format!("{:02}", time.hour),
        'I' => format!("{hour12:02}"),
        'j' => format!("{:03}", time.year_day + 1),
        'k' => format!("{:2}", time.hour),
        'l' => format!("{hour12:2}"),
        'M' => format!("{:02}", time.minute),
        'm' => format!("{:02}", time.month + 1),
        'n' => "\n".to_owned(),
        'P' => if time.hour < 12 { "am" } else { "pm" }.to_owned(),
        'p' => if time.hour < 12 { "AM" } else { "PM" }.to_owned(),
        'R' => return again("%H:%M"),
        'r' => return again("%I:%M:%S %p"),
        'S' => format!("{second:02}"),
        's' => format!("{}", time.seconds().floor()),
        'T' | 'X' => return again("%H:%M:%S"),
        't' => "\t".to_owned(),
        'U' => format!("{:02}", (time.year_day + 7 - time.week_day) / 7),
        'u' => (if time.week_day == 0 { 7 } else { time.week_day }).to_string(),
        'V' => format!("{:02}", iso_week(time).1),
        'W' => format!("{:02}", (time.year_day + 7 - (time.week_day + 6) % 7) / 7),
        'w' => time.week_day.to_string(),
        'Y' => time.year.to_string(),
        'y' => format!("{:02}", time.year.rem_euclid(100)),
        'Z' => "UTC".to_owned(),
        'z' => "+0000".to_owned(),
        '%' => "%".to_owned(),
        other => return Err(unknown(other)),
    })
}

fn unknown(directive: char) -> Fail {
    Fail::text(format!(
        "a format of time has %{directive}, which is not available"
    ))
}

/// The year and the week of ISO 8601.
fn iso_week(time: &Time) -> (i64, i64) {
    let today = days(time.year, 0, 1) + time.year_day;
    let monday = today - (today + 3).rem_euclid(7);
    let year = date(monday + 3).0;
    (year, (monday + 3 - days(year, 0, 1)) / 7 + 1)
}

/// Reads a time by a format of `strptime`.
fn read(text: &Text, format: &Text) -> Result<Val, Exit> {
    let (text, format) = (text.to_str(), format.to_str());
    let mut reader = Reader {
        rest: &text,
        time: Time {
            year: 1900,
            month: 0,
            day: 0,
            hour: 0,
            minute: 0,
            second: 0.0,
            week_day: 0,
            year_day: 0,
        },
        afternoon: None,
        of_year: false,
    };
    reader.read(&format)?.ok_or_else(|| {
        let message = format!("date \"{text}\" does not match format \"{format}\"");
        Fail::said(message, "a string does not match the format of time")
    })?;
    Ok(reader.finish())
}

struct Reader<'t> {
    rest: &'t str,
    time: Time,
    afternoon: Option<bool>,
    /// The day is that of the year.
    of_year: bool,
}

impl Reader<'_> {
    /// Reads by a format; nothing if the text does not match.
    fn read(&mut self, format: &str) -> Result<Option<()>, Fail> {
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            let read = match c {
                '%' => match chars.next() {
                    Some(directive) => self.directive(directive)?,
                    None => self.exactly("%"),
                },
                c if c.is_whitespace() => {
                    self.rest = self.rest.trim_start();
                    Some(())
                }
                c => self.exactly(c.encode_utf8(&mut [0; 4])),
            };
            if read.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    fn exactly(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn number(&mut self, most: usize, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let rest = self.rest.trim_start();
        let digits = rest
            .bytes()
            .take(most)
            .take_while(u8::is_ascii_digit)
            .count();
        let number = rest[..digits]
            .parse()
            .ok()
            .filter(|number| range.contains(number))?;
        self.rest = &rest[digits..];
        Some(number)
    }

    fn name(&mut self, names: &[&str]) -> Option<i64> {
        let is = |text: &str| {
            let start = self.rest.get(..text.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(text))
        };
        let found = names.iter().position(|name| is(&name[..3]))?;
        let length = if is(names[found]) {
            names[found].len()
        } else {
            3
        };
        self.rest = &self.rest[length..];
        Some(found as i64)
    }

    fn directive(&mut self, directive: char) -> Result<Option<()>, Fail> {
        let read = match directive {
            'A' | 'a' => self.name(&DAYS).map(|_| ()),
            'B' | 'b' | 'h' => self.name(&MONTHS).map(|month| self.time.month = month),
            'D' => return self.read("%m/%d/%y"),
            'd' | 'e' => self.number(2, 1..=31).map(|day| self.time.day = day),
            'F' => return self.read("%Y-%m-%d"),
            'H' | 'k' => self.number(2, 0..=23).map(|hour| self.time.hour = hour),
            'I' | 'l' => self
                .number(2, 1..=12)
                .map(|hour| self.time.hour = hour % 12),
            'j' => self.number(3, 1..=366).map(|day| {
                self.time.year_day = day - 1;
                self.of_year = true;
            }),
            'M' => self
                .number(2, 0..=59)
                .map(|minute| self.time.minute = minute),
            'm' => self
                .number(2, 1..=12)
                .map(|month| self.time.month = month - 1),
            'n' | 't' => {
                self.rest = self.rest.trim_start();
                Some(())
            }
            'p' | 'P' => self.half(),
            'R' => return self.read("%H:%M"),
            'r' => return self.read("%I:%M:%S %p"),
            'S' => self
                .number(2, 0..=60)
                .map(|second| self.time.second = second as f64),
            's' => {
                let Some(seconds) = self.number(18, 0..=i64::MAX) else {
                    return Ok(None);
                };
                self.time = broken_down(seconds as f64)?;
                Some(())
            }
            'T' => return self.read("%H:%M:%S"),
            'u' => self.number(1, 1..=7).map(|_| ()),
            'w' => self.number(1, 0..=6).map(|_| ()),
            'Y' => self.number(4, 0..=9999).map(|year| self.time.year = year),
            'y' => self.number(2, 0..=99).map(|year| {
                self.time.year = if year < 69 { 2000 + year } else { 1900 + year };
            }),
            'Z' => {
                self.rest = self
                    .rest
                    .trim_start_matches(|c: char| c.is_ascii_alphabetic());
                Some(())
            }
            'z' => self.offset(),
            '%' => self.exactly("%"),
            other => return Err(unknown(other)),
        };
        Ok(read)
    }

    fn half(&mut self) -> Option<()> {
        let half = self.rest.get(..2)?.to_ascii_uppercase();
        self.afternoon = Some(match &*half {
            "AM" => false,
            "PM" => true,
            _ => return None,
        });
        self.rest = &self.rest[2..];
        Some(())
    }

    /// An offset is read and ignored, as jq does.
    fn offset(&mut self) -> Option<()> {
        let rest = self.rest.trim_start();
        if let Some(rest) = rest.strip_prefix('Z') {
            self.rest = rest;
            return Some(());
        }
        let rest = rest.strip_prefix(['+', '-'])?;
        let digits = rest
            .bytes()
            .take_while(|b| b.is_ascii_digit() || *b == b':')
            .count();
        self.rest = &rest[digits..];
        (digits >= 2).then_some(())
    }

    fn finish(mut self) -> Val {
        if self.afternoon == Some(true) {
            self.time.hour += 12;
        }
        let year = self.time.year;
        if self.of_year {
            let (_, month, day) = date(days(year, 0, 1) + self.time.year_day);
            (self.time.month, self.time.day) = (month, day);
        }
        let today = days(year, self.time.month, self.time.day);
        self.time.week_day = (today + 4).rem_euclid(7);
        self.time.year_day = today - days(year, 0, 1);
        let value = self.time.to_value();
        match value {
            Val::Arr(parts) if !self.rest.is_empty() => {
                let mut parts = parts.to_vec();
                parts.push(self.rest.into());
                parts.into()
            }
            value => value,
        }
    }
}
