//! Arrays, objects and paths.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Native, native};
use crate::fail::{Exit, Fail};
use crate::value::{
    Map, Num, Text, Val, delete_paths, has_element, indices, not_too_deep, set_path,
};

pub(super) const ALL: &[Native] = &[
    native("not", 0, |_, input, _| Ok((!input.is_true()).into())),
    native("type", 0, |_, input, _| Ok(input.type_name().into())),
    native("error", 0, |_, input, _| Err(Fail::program(input).into())),
    native("length", 0, |_, input, _| Ok(length(input)?)),
    native("keys", 0, |_, input, _| Ok(keys(input, true)?)),
    native("keys_unsorted", 0, |_, input, _| Ok(keys(input, false)?)),
    native("has", 1, |_, input, arguments| {
        Ok(has(&input, &arguments[0])?.into())
    }),
    native("contains", 1, |_, input, arguments| {
        Ok(has_element(&input, &arguments[0], 0)?.into())
    }),
    native("to_entries", 0, |_, input, _| Ok(to_entries(&input)?)),
    native("from_entries", 0, |_, input, _| from_entries(&input)),
    native("sort", 0, |_, input, _| Ok(sorted(input)?.into())),
    native("unique", 0, |_, input, _| {
        let mut sorted = sorted(input)?;
        sorted.dedup();
        not_too_deep("Comparison too deep")?;
        Ok(sorted.into())
    }),
    native("__sort_by", 1, |_, input, keys| {
        let pairs = pairs(input, &keys[0])?;
        Ok(values(pairs).into())
    }),
    native("__group_by", 1, |_, input, keys| {
        let pairs = pairs(input, &keys[0])?;
        let groups = pairs.chunk_by(|(a, _), (b, _)| a == b);
        Ok(groups
            .map(|group| values(group.to_vec()).into())
            .collect::<Vec<Val>>()
            .into())
    }),
    native("__unique_by", 1, |_, input, keys| {
        let mut pairs = pairs(input, &keys[0])?;
        pairs.dedup_by(|(b, _), (a, _)| a == b);
        Ok(values(pairs).into())
    }),
    native("min", 0, |_, input, _| {
        Ok(least(&input, &input, Ordering::Less)?)
    }),
    native("max", 0, |_, input, _| {
        Ok(least(&input, &input, Ordering::Greater)?)
    }),
    native("__min_by", 1, |_, input, keys| {
        Ok(least(&input, &keys[0], Ordering::Less)?)
    }),
    native("__max_by", 1, |_, input, keys| {
        Ok(least(&input, &keys[0], Ordering::Greater)?)
    }),
    native("bsearch", 1, |_, input, arguments| {
        Ok(bsearch(&input, &arguments[0])?)
    }),
    native(
        "setpath",
        2,
        |budget, mut input, arguments| match &arguments[0] {
            Val::Arr(path) => {
                set_path(&mut input, path, arguments[1].clone(), budget)?;
                Ok(input)
            }
            _ => Err(Fail::text("Path must be specified as an array").into()),
        },
    ),
    native("delpaths", 1, |_, input, arguments| match &arguments[0] {
        Val::Arr(paths) => Ok(delete_paths(input, paths.to_vec())?),
        _ => Err(Fail::text("Paths must be specified as an array").into()),
    }),
    native("indices", 1, |_, input, arguments| {
        Ok(places(&input, &arguments[0])?)
    }),
    native("tojson", 0, |budget, input, _| {
        Ok(Val::Str(crate::value::json(&input, budget)?.into()))
    }),
];

fn length(value: Val) -> Result<Val, Fail> {
    let count = match &value {
        Val::Null => 0,
        Val::Str(text) => text.count(),
        Val::Arr(array) => array.len(),
        Val::Obj(map) => map.len(),
        Val::Num(num) if *num < Num::Int(0) => return crate::value::negate(value),
        Val::Num(_) => return Ok(value),
        Val::Bool(_) => return Err(Fail::one(value, "has no length")),
    };
    Ok(Val::int(count as i64))
}

fn keys(value: Val, sorted: bool) -> Result<Val, Fail> {
    match value {
        Val::Arr(array) => Ok((0..array.len() as i64)
            .map(Val::int)
            .collect::<Vec<_>>()
            .into()),
        Val::Obj(map) => {
            let mut keys: Vec<Val> = map.keys().cloned().map(Val::Str).collect();
            if sorted {
                keys.sort();
            }
            Ok(keys.into())
        }
        other => Err(Fail::one(other, "has no keys")),
    }
}

fn has(value: &Val, key: &Val) -> Result<bool, Fail> {
    match (value, key) {
        (Val::Obj(map), Val::Str(key)) => Ok(map.contains_key(key)),
        (Val::Arr(array), Val::Num(index)) => {
            let index = index.as_f64().floor();
            Ok((0.0..array.len() as f64).contains(&index))
        }
        (Val::Null, Val::Str(_) | Val::Num(_)) => Ok(false),
        (value, key) => {
            let (of, key) = (value.type_name(), key.type_name());
            Err(Fail::text(format!(
                "Cannot check whether {of} has a {key} key"
            )))
        }
    }
}

fn to_entries(value: &Val) -> Result<Val, Fail> {
    let entry = |key: Val, value: &Val| {
        let mut map = Map::default();
        map.insert(KEY.clone(), key);
        map.insert(VALUE.clone(), value.clone());
        Val::obj(map)
    };
    let entries: Vec<Val> = match value {
        Val::Obj(map) => map
            .iter()
            .map(|(key, value)| entry(Val::Str(key.clone()), value))
            .collect(),
        Val::Arr(array) => {
            let elements = array.iter().enumerate();
            elements
                .map(|(at, value)| entry(Val::int(at as i64), value))
                .collect()
        }
        other => return Err(Fail::one(other.clone(), "has no keys")),
    };
    Ok(entries.into())
}

static KEY: std::sync::LazyLock<Text> = std::sync::LazyLock::new(|| "key".into());
static VALUE: std::sync::LazyLock<Text> = std::sync::LazyLock::new(|| "value".into());

fn from_entries(entries: &Val) -> Result<Val, Exit> {
    let mut made = Map::default();
    each(entries, &mut |entry| {
        let at = |name: &str| crate::value::get(entry, &name.into());
        let mut key = at("key")?;
        for name in ["Key", "name", "Name"] {
            if key.is_true() {
                break;
            }
            key = at(name)?;
        }
        let Val::Str(key) = key else {
            return Err(Fail::object_key(key));
        };
        let name = if has(entry, &"value".into())? {
            "value"
        } else {
            "Value"
        };
        made.insert(key, at(name)?);
        Ok(())
    })?;
    Ok(Val::obj(made))
}

/// Hands over what is in an array or an object.
fn each(value: &Val, see: &mut dyn FnMut(&Val) -> Result<(), Fail>) -> Result<(), Fail> {
    match value {
        Val::Arr(array) => array.iter().try_for_each(see),
        Val::Obj(map) => map.values().try_for_each(see),
        other => Err(Fail::about("Cannot iterate over", other.clone())),
    }
}

fn sorted(value: Val) -> Result<Vec<Val>, Fail> {
    match value {
        Val::Arr(array) => {
            let mut array = Arc::unwrap_or_clone(array);
            array.sort();
            not_too_deep("Comparison too deep")?;
            Ok(array)
        }
        other => Err(Fail::one(other, "cannot be sorted, as it is not an array")),
    }
}

/// The elements of an array with their keys, sorted by those.
fn pairs(value: Val, keys: &Val) -> Result<Vec<(Val, Val)>, Fail> {
    match (&value, keys) {
        (Val::Arr(array), Val::Arr(keys)) if array.len() == keys.len() => {
            let mut pairs: Vec<_> = keys.iter().cloned().zip(array.iter().cloned()).collect();
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            not_too_deep("Comparison too deep")?;
            Ok(pairs)
        }
        _ => Err(Fail::two(
            value,
            keys.clone(),
            "cannot be sorted, as they are not both arrays",
        )),
    }
}

fn values(pairs: Vec<(Val, Val)>) -> Vec<Val> {
    pairs.into_iter().map(|(_, value)| value).collect()
}

/// The first element of the least key, or the last one of the greatest.
fn least(value: &Val, keys: &Val, wanted: Ordering) -> Result<Val, Fail> {
    let (Val::Arr(array), Val::Arr(keys)) = (value, keys) else {
        let what = "cannot be iterated over";
        return Err(Fail::two(value.clone(), keys.clone(), what));
    };
    let mut found: Option<usize> = None;
    for at in 0..array.len().min(keys.len()) {
        let better = found.is_none_or(|found| match keys[at].cmp(&keys[found]) {
            Ordering::Equal => wanted == Ordering::Greater,
            order => order == wanted,
        });
        if better {
            found = Some(at);
        }
    }
    Ok(found.map(|at| array[at].clone()).unwrap_or_default())
}

fn bsearch(value: &Val, wanted: &Val) -> Result<Val, Fail> {
    match value {
        Val::Arr(array) => Ok(Val::int(searched(array, wanted))),
        other => Err(Fail::one(other.clone(), "cannot be searched from")),
    }
}

/// Where a value is, or -1 less the place where it would be. Of equal values it is the one that jq
/// finds, and not whichever the standard library finds.
fn searched(array: &[Val], wanted: &Val) -> i64 {
    let (mut from, mut to) = (0, array.len());
    while from < to {
        let middle = from + (to - from) / 2;
        match wanted.cmp(&array[middle]) {
            Ordering::Equal => return middle as i64,
            Ordering::Less => to = middle,
            Ordering::Greater => from = middle + 1,
        }
    }
    -1 - from as i64
}

fn places(value: &Val, wanted: &Val) -> Result<Val, Fail> {
    match (value, wanted) {
        (Val::Arr(array), Val::Arr(wanted)) => Ok(indices(array, wanted)),
        (Val::Arr(array), wanted) => Ok(indices(array, std::slice::from_ref(wanted))),
        (Val::Str(text), Val::Str(wanted)) => Ok(super::text::places(text, wanted)),
        (value, wanted) => crate::value::get(value, wanted),
    }
}
