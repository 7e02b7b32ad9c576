//! What is at a path, and changing it.

use std::sync::Arc;

use super::{DEEPEST, Map, Num, Val};
use crate::budget::Budget;
use crate::fail::{Exit, Fail};

/// The last index that an array may have.
const MAX_INDEX: f64 = 536_870_911.0;

/// A path that is longer is none.
pub(crate) fn not_too_long(path: &Keys) -> Result<(), Fail> {
    if path.len() > DEEPEST {
        Err(Fail::text("Path too deep"))
    } else {
        Ok(())
    }
}

const NOT_SLICED: &str = "Array/string slice indices must be integers";

/// The parts of a path.
pub(crate) type Keys = [Val];

/// What is at a key: `.[key]`.
pub(crate) fn get(value: &Val, key: &Val) -> Result<Val, Fail> {
    match (value, key) {
        (Val::Obj(map), Val::Str(key)) => Ok(map.get(key).cloned().unwrap_or_default()),
        (Val::Arr(array), Val::Num(index)) => {
            let index = place(index, array.len());
            Ok(index
                .and_then(|at| array.get(at))
                .cloned()
                .unwrap_or_default())
        }
        (Val::Arr(array), Val::Obj(slice)) => {
            let (from, to) = bounds(slice, array.len())?;
            Ok(array[from..to].to_vec().into())
        }
        (Val::Str(text), Val::Obj(slice)) => {
            let (from, to) = bounds(slice, text.count())?;
            let (from, to) = (text.byte_of(from), text.byte_of(to));
            Ok(Val::Str(text[from..to].to_vec().into()))
        }
        (Val::Arr(array), Val::Arr(searched)) => Ok(indices(array, searched)),
        (Val::Null, Val::Str(_) | Val::Num(_)) => Ok(Val::Null),
        (Val::Null, Val::Obj(_)) => Ok(Val::Null),
        _ => Err(Fail::index(value, key)),
    }
}

/// The place in an array that an index means; `None` if there is none.
fn place(index: &Num, length: usize) -> Option<usize> {
    let index = index.as_f64().floor();
    let index = if index < 0.0 {
        index + length as f64
    } else {
        index
    };
    (0.0..=MAX_INDEX).contains(&index).then_some(index as usize)
}

/// Where an array occurs in another.
pub(crate) fn indices(array: &[Val], searched: &[Val]) -> Val {
    if searched.is_empty() {
        return Val::from(Vec::new());
    }
    let equal = |window: &[Val]| window.iter().zip(searched).all(|(a, b)| a.equals(b));
    let windows = array.windows(searched.len()).enumerate();
    let found = windows.filter(|(_, window)| equal(window));
    found
        .map(|(at, _)| Val::int(at as i64))
        .collect::<Vec<_>>()
        .into()
}

/// The begin and the end of a slice `{start, end}`.
pub(crate) fn bounds(slice: &Map, length: usize) -> Result<(usize, usize), Fail> {
    let bound = |name: &str, absent: f64, round: fn(f64) -> f64| match slice.get(name.as_bytes()) {
        None if slice.is_empty() => Err(Fail::text(NOT_SLICED)),
        None | Some(Val::Null) => Ok(absent),
        Some(Val::Num(bound)) => {
            let bound = bound.as_f64();
            let bound = if bound.is_nan() { absent } else { bound };
            let bound = if bound < 0.0 {
                bound + length as f64
            } else {
                bound
            };
            Ok(round(bound.clamp(0.0, length as f64)))
        }
        Some(_) => Err(Fail::text(NOT_SLICED)),
    };
    let from = bound("start", 0.0, f64::floor)?;
    let to = bound("end", length as f64, f64::ceil)?;
    Ok((from as usize, to.max(from) as usize))
}

/// What is at a path; `null` where nothing is.
pub(crate) fn get_path(value: &Val, path: &Keys) -> Result<Val, Fail> {
    not_too_long(path)?;
    path.iter()
        .try_fold(value.clone(), |value, key| match value {
            Val::Null => Ok(Val::Null),
            value => get(&value, key),
        })
}

/// Takes what is at a path out of a value, which is `null` there until it is set.
pub(crate) fn take_path(value: &mut Val, path: &Keys) -> Result<Val, Fail> {
    let Some((key, rest)) = path.split_first() else {
        return Ok(std::mem::take(value));
    };
    match (value, key) {
        (Val::Obj(map), Val::Str(key)) => match Arc::make_mut(map).get_mut(key) {
            Some(inner) => take_path(inner, rest),
            None => Ok(Val::Null),
        },
        (Val::Arr(array), Val::Num(index)) => {
            let at = place(index, array.len());
            match at.and_then(|at| Arc::make_mut(array).get_mut(at)) {
                Some(inner) => take_path(inner, rest),
                None => Ok(Val::Null),
            }
        }
        (value, _) => get_path(value, path),
    }
}

/// Puts a value at a path, and makes what is missing on the way to it.
pub(crate) fn set_path(
    value: &mut Val,
    path: &Keys,
    new: Val,
    budget: &Budget,
) -> Result<(), Exit> {
    not_too_long(path)?;
    set(value, path, new, budget)
}

fn set(value: &mut Val, path: &Keys, new: Val, budget: &Budget) -> Result<(), Exit> {
    let Some((key, rest)) = path.split_first() else {
        *value = new;
        return Ok(());
    };
    match (&mut *value, key) {
        (Val::Obj(map), Val::Str(key)) => {
            let entry = Arc::make_mut(map).entry(key.clone()).or_default();
            set(entry, rest, new, budget)
        }
        (Val::Null, Val::Str(_)) => {
            *value = Val::obj(Map::default());
            set(value, path, new, budget)
        }
        (Val::Null, Val::Num(_) | Val::Obj(_)) => {
            *value = Vec::new().into();
            set(value, path, new, budget)
        }
        (Val::Arr(array), Val::Num(index)) => {
            let at = place_to_set(index, array.len())?;
            if at >= array.len() {
                let added = at + 1 - array.len();
                budget.make((added * size_of::<Val>()) as u64)?;
                Arc::make_mut(array).resize(at + 1, Val::Null);
            }
            set(&mut Arc::make_mut(array)[at], rest, new, budget)
        }
        (Val::Arr(array), Val::Obj(slice)) => {
            let (from, to) = bounds(slice, array.len())?;
            let mut part = Val::from(array[from..to].to_vec());
            if rest.is_empty() {
                part = new;
            } else {
                set(&mut part, rest, new, budget)?;
            }
            let Val::Arr(part) = part else {
                let what = "A slice of an array can only be assigned another array";
                return Err(Fail::text(what).into());
            };
            Arc::make_mut(array).splice(from..to, part.iter().cloned());
            Ok(())
        }
        (Val::Arr(_), Val::Arr(_)) => {
            Err(Fail::text("Cannot update field at array index of array").into())
        }
        (Val::Str(_), Val::Obj(_)) => Err(Fail::text("Cannot update string slices").into()),
        (value, key) => Err(Fail::index(value, key).into()),
    }
}

fn place_to_set(index: &Num, length: usize) -> Result<usize, Fail> {
    let index = index.as_f64().floor();
    let index = if index < 0.0 {
        index + length as f64
    } else {
        index
    };
    if index < 0.0 {
        Err(Fail::text("Out of bounds negative array index"))
    } else if index > MAX_INDEX {
        Err(Fail::text("Array index too large"))
    } else if index.is_nan() {
        Err(Fail::text("Cannot set array element at NaN index"))
    } else {
        Ok(index as usize)
    }
}

/// Deletes what is at the paths, all of which count from the value as it is now.
pub(crate) fn delete_paths(mut value: Val, mut paths: Vec<Val>) -> Result<Val, Fail> {
    paths.sort();
    let keys = |path: &Val| match path {
        Val::Arr(keys) => not_too_long(keys).map(|()| keys.to_vec()),
        _ => Err(Fail::text("Path must be specified as an array")),
    };
    let paths: Vec<Vec<Val>> = paths.iter().map(keys).collect::<Result<_, _>>()?;
    let paths: Vec<&Keys> = paths.iter().map(|path| &path[..]).collect();
    if paths.first().is_some_and(|path| path.is_empty()) {
        return Ok(Val::Null);
    }
    delete(&mut value, &paths)?;
    Ok(value)
}

/// Deletes what is at sorted paths, none of which is empty.
fn delete(value: &mut Val, paths: &[&Keys]) -> Result<(), Fail> {
    let mut whole: Vec<&Val> = Vec::new();
    for group in paths.chunk_by(|a, b| a[0] == b[0]) {
        let key = &group[0][0];
        // the shortest path is the first one, and what is deleted as a whole needs no more
        if group[0].len() == 1 {
            whole.push(key);
            continue;
        }
        let mut inner = match &value {
            Val::Null => Val::Null,
            value => get(value, key)?,
        };
        if matches!(inner, Val::Null) {
            continue;
        }
        let rest: Vec<&Keys> = group.iter().map(|path| &path[1..]).collect();
        // what is inside is changed in place
        match (&mut *value, key) {
            (Val::Obj(map), Val::Str(key)) => {
                drop(inner);
                if let Some(inner) = Arc::make_mut(map).get_mut(key) {
                    delete(inner, &rest)?;
                }
            }
            (Val::Arr(array), Val::Num(index)) => {
                drop(inner);
                let at = place(index, array.len());
                if let Some(inner) = at.and_then(|at| Arc::make_mut(array).get_mut(at)) {
                    delete(inner, &rest)?;
                }
            }
            (Val::Arr(array), Val::Obj(slice)) => {
                delete(&mut inner, &rest)?;
                let (from, to) = bounds(slice, array.len())?;
                if let Val::Arr(inner) = inner {
                    Arc::make_mut(array).splice(from..to, inner.iter().cloned());
                }
            }
            _ => {}
        }
    }
    if whole.is_empty() {
        Ok(())
    } else {
        delete_keys(value, &whole)
    }
}

fn delete_keys(value: &mut Val, keys: &[&Val]) -> Result<(), Fail> {
    match value {
        Val::Null => Ok(()),
        Val::Obj(map) => {
            for key in keys {
                let Val::Str(key) = key else {
                    let kind = key.type_name();
                    let what = format!("Cannot delete {kind} field of object");
                    return Err(Fail::text(what));
                };
                if map.contains_key(key) {
                    Arc::make_mut(map).shift_remove(key);
                }
            }
            Ok(())
        }
        Val::Arr(array) => {
            let mut gone = vec![false; array.len()];
            for key in keys {
                match key {
                    Val::Num(index) => {
                        let at = place(index, gone.len());
                        if let Some(gone) = at.and_then(|at| gone.get_mut(at)) {
                            *gone = true;
                        }
                    }
                    Val::Obj(slice) => {
                        let (from, to) = bounds(slice, gone.len())?;
                        gone[from..to].fill(true);
                    }
                    other => {
                        let kind = other.type_name();
                        let what = format!("Cannot delete {kind} element of array");
                        return Err(Fail::text(what));
                    }
                }
            }
            let mut gone = gone.into_iter();
            Arc::make_mut(array).retain(|_| gone.next() != Some(true));
            Ok(())
        }
        other => {
            let kind = other.type_name();
            Err(Fail::text(format!("Cannot delete fields from {kind}")))
        }
    }
}
