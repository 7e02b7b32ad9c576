//! Texts.

use super::{Native, native};
use crate::budget::Budget;
use crate::fail::{Exit, Fail};
use crate::value::{MAX_DEPTH, Num, ReadFault, Text, Val, add, read, read_number, split, text_of};

pub(super) const ALL: &[Native] = &[
    native("tostring", 0, |budget, input, _| {
        Ok(Val::Str(text_of(input, budget)?))
    }),
    native("tonumber", 0, |_, input, _| Ok(to_number(input)?)),
    native("toboolean", 0, |_, input, _| match &input {
        Val::Bool(_) => Ok(input),
        Val::Str(text) if text[..] == *b"true" => Ok(true.into()),
        Val::Str(text) if text[..] == *b"false" => Ok(false.into()),
        _ => Err(Fail::one(input, "cannot be parsed as a boolean").into()),
    }),
    native("fromjson", 0, |_, input, _| Ok(from_json(input)?)),
    native("utf8bytelength", 0, |_, input, _| match input {
        Val::Str(text) => Ok(Val::int(text.len() as i64)),
        other => Err(Fail::one(other, "only strings have UTF-8 byte length").into()),
    }),
    native("explode", 0, |budget, input, _| {
        let text = exploded(input)?;
        budget.make((text.len() * size_of::<Val>()) as u64)?;
        Ok(text
            .points()
            .map(|point| Val::int(point.into()))
            .collect::<Vec<_>>()
            .into())
    }),
    native("implode", 0, |_, input, _| Ok(implode(input)?)),
    native("ascii_downcase", 0, |_, input, _| {
        Ok(Val::Str(exploded(input)?.to_ascii_lowercase().into()))
    }),
    native("ascii_upcase", 0, |_, input, _| {
        Ok(Val::Str(exploded(input)?.to_ascii_uppercase().into()))
    }),
    native("startswith", 1, |_, input, arguments| {
        let (text, start) = both(&input, &arguments[0], STARTS)?;
        Ok(text.starts_with(start).into())
    }),
    native("endswith", 1, |_, input, arguments| {
        let (text, end) = both(&input, &arguments[0], ENDS)?;
        Ok(text.ends_with(end).into())
    }),
    native("ltrimstr", 1, |_, input, arguments| {
        let (text, start) = both(&input, &arguments[0], STARTS)?;
        let rest = text.strip_prefix(&start[..]).map(<[u8]>::to_vec);
        Ok(rest.map_or_else(|| input.clone(), |rest| Val::Str(rest.into())))
    }),
    native("rtrimstr", 1, |_, input, arguments| {
        let (text, end) = both(&input, &arguments[0], ENDS)?;
        let rest = text.strip_suffix(&end[..]).map(<[u8]>::to_vec);
        Ok(rest.map_or_else(|| input.clone(), |rest| Val::Str(rest.into())))
    }),
    native("_strindices", 1, |_, input, arguments| {
        match (&input, &arguments[0]) {
            (Val::Str(text), Val::Str(wanted)) => Ok(places(text, wanted)),
            (Val::Str(_), other) => Err(Fail::one(other.clone(), "is not a string").into()),
            _ => {
                let what = "cannot be searched, as it is not a string";
                Err(Fail::one(input, what).into())
            }
        }
    }),
    native("trim", 0, |_, input, _| Ok(trim(&input, true, true)?)),
    native("ltrim", 0, |_, input, _| Ok(trim(&input, true, false)?)),
    native("rtrim", 0, |_, input, _| Ok(trim(&input, false, true)?)),
    native("split", 1, |_, input, arguments| {
        match (&input, &arguments[0]) {
            (Val::Str(text), Val::Str(separator)) => Ok(split(text, separator)),
            _ => Err(Fail::text("split input and separator must be strings").into()),
        }
    }),
    native("join", 1, |budget, input, arguments| {
        let joined = join(&input, &arguments[0], budget)?;
        budget.make(joined.len() as u64)?;
        Ok(Val::Str(joined.into()))
    }),
];

const STARTS: &str = "startswith() requires string inputs";
const ENDS: &str = "endswith() requires string inputs";

fn both<'v>(input: &'v Val, argument: &'v Val, fault: &str) -> Result<(&'v Text, &'v Text), Fail> {
    match (input, argument) {
        (Val::Str(text), Val::Str(part)) => Ok((text, part)),
        _ => Err(Fail::text(fault)),
    }
}

fn exploded(input: Val) -> Result<Text, Fail> {
    match input {
        Val::Str(text) => Ok(text),
        _ => Err(Fail::text("explode input must be a string")),
    }
}

fn implode(input: Val) -> Result<Val, Fail> {
    let Val::Arr(points) = input else {
        return Err(Fail::text("implode input must be an array"));
    };
    let what = "can't be imploded, unicode codepoint needs to be numeric";
    let point = |value: &Val| match value {
        Val::Num(num) if !num.is_nan() => {
            let point = num.as_f64();
            let point = if (0.0..=1_114_111.0).contains(&point) {
                point as u32
            } else {
                0xFFFD
            };
            Ok(char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER))
        }
        other => Err(Fail::one(other.clone(), what)),
    };
    let text: String = points.iter().map(point).collect::<Result<_, _>>()?;
    Ok(text.into())
}

fn to_number(input: Val) -> Result<Val, Fail> {
    let number = match &input {
        Val::Num(_) => return Ok(input),
        Val::Str(text) => text.as_str().and_then(|text| match text {
            "nan" | "-nan" => Some(Num::of_f64(f64::NAN)),
            _ => read_number(text),
        }),
        _ => None,
    };
    number
        .map(Val::Num)
        .ok_or_else(|| Fail::one(input, "cannot be parsed as a number"))
}

fn from_json(input: Val) -> Result<Val, Fail> {
    let Val::Str(text) = &input else {
        return Err(Fail::one(input, "only strings can be parsed"));
    };
    if let Some("nan" | "NaN" | "-nan" | "-NaN") = text.as_str() {
        return Ok(Val::float(f64::NAN));
    }
    read(text).map_err(|fault| match fault {
        ReadFault::NotJson(at) => {
            let shown = text.to_str();
            let what = match not_json(&shown) {
                Some(what) => what,
                None => format!("Invalid JSON at byte {at}"),
            };
            Fail::said(
                format!("{what} (while parsing '{shown}')"),
                format!("a string is not JSON: unexpected at byte {at}"),
            )
        }
        ReadFault::TooDeep => Fail::text(format!(
            "a string has JSON that is nested deeper than {MAX_DEPTH} levels"
        )),
    })
}

/// What jq calls a text that is one word, and no JSON.
fn not_json(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("Expected JSON value".to_owned());
    }
    let word = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if !text.chars().all(word) {
        return None;
    }
    let kind = if text.starts_with(['t', 'f']) || (text.starts_with('n') && !text.starts_with("na"))
    {
        "literal"
    } else {
        "numeric literal"
    };
    let column = text.len();
    Some(format!("Invalid {kind} at EOF at line 1, column {column}"))
}

fn trim(input: &Val, left: bool, right: bool) -> Result<Val, Fail> {
    let Val::Str(text) = input else {
        return Err(Fail::text("trim input must be a string"));
    };
    let points: Vec<u32> = text.points().collect();
    let space = |point: &u32| char::from_u32(*point).is_some_and(char::is_whitespace);
    let from = if left {
        points.iter().take_while(|point| space(point)).count()
    } else {
        0
    };
    let rest = &points[from..];
    let cut = if right {
        rest.iter().rev().take_while(|point| space(point)).count()
    } else {
        0
    };
    let kept = &rest[..rest.len() - cut];
    Ok(Val::Str(Text::from_points(kept.iter().copied())))
}

/// Where a text occurs in another, in characters; occurrences may overlap.
pub(super) fn places(text: &Text, wanted: &Text) -> Val {
    if wanted.is_empty() {
        return Val::Null;
    }
    let mut found = Vec::new();
    let (mut from, mut passed) = (0, 0);
    while let Some(at) = memchr::memmem::find(&text[from..], wanted) {
        let at = from + at;
        let starts = text[from..at]
            .iter()
            .filter(|byte| **byte & 0xC0 != 0x80)
            .count();
        passed += starts as i64;
        found.push(Val::int(passed));
        let next = text[at + 1..]
            .iter()
            .take_while(|byte| **byte & 0xC0 == 0x80)
            .count();
        from = at + 1 + next;
        passed += 1;
    }
    found.into()
}

/// `null` counts as empty; booleans and numbers become texts.
fn join(input: &Val, separator: &Val, budget: &Budget) -> Result<Vec<u8>, Exit> {
    let elements: Vec<&Val> = match input {
        Val::Arr(array) => array.iter().collect(),
        Val::Obj(map) => map.values().collect(),
        other => return Err(Fail::about("Cannot iterate over", other.clone()).into()),
    };
    let mut joined = Vec::new();
    for (at, element) in elements.into_iter().enumerate() {
        match separator {
            _ if at == 0 => {}
            Val::Str(separator) => joined.extend_from_slice(separator),
            Val::Null => {}
            other => drop(add(Val::Str(joined.clone().into()), other.clone())?),
        }
        match element {
            Val::Null => {}
            Val::Str(text) => joined.extend_from_slice(text),
            Val::Bool(_) | Val::Num(_) => {
                joined.extend_from_slice(&text_of(element.clone(), budget)?)
            }
            other => drop(add(Val::Str(joined.clone().into()), other.clone())?),
        }
    }
    Ok(joined)
}
