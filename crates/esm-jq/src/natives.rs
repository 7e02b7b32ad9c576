//! Native functions in the place of the engine's.

use bytes::Bytes;
use jaq_core::box_iter::box_once;
use jaq_core::native::{Filter, Fun, run, v};
use jaq_core::path::Opt;
use jaq_core::{Error, Exn, RunPtr, ValT};
use jaq_json::{Map, Rc, Val, ValX};

use crate::engine::Engine;
use crate::value::{MAX_DEPTH, ReadFault, read};

/// All of them.
pub(crate) fn funs() -> impl Iterator<Item = Fun<Engine>> {
    [from_json(), delete_paths(), to_entries(), from_entries()]
        .into_iter()
        .map(run::<Engine>)
}

/// `fromjson` that reads exactly one value, strictly and with bounded nesting.
fn from_json() -> Filter<RunPtr<Engine>> {
    ("fromjson", v(0), |cv| {
        let value = cv.1.try_as_utf8_bytes_owned().and_then(|text| {
            read(&text).map_err(|fault| {
                Error::str(match fault {
                    ReadFault::NotJson(at) => {
                        format!("a string is not JSON: unexpected at byte {at}")
                    }
                    ReadFault::TooDeep => {
                        format!("a string has JSON that is nested deeper than {MAX_DEPTH} levels")
                    }
                })
            })
        });
        box_once(value.map_err(Exn::from))
    })
}

/// `delpaths` that keeps the order of keys, and deletes from the last path to the first, so that no
/// deletion moves what another one means.
fn delete_paths() -> Filter<RunPtr<Engine>> {
    ("delpaths", v(1), |mut cv| {
        let Val::Arr(mut paths) = cv.0.pop_var() else {
            return box_once(Err(Error::str("delpaths takes an array of paths").into()));
        };
        Rc::make_mut(&mut paths).sort();
        let deleted = paths.iter().rev().try_fold(cv.1, |value, path| match path {
            Val::Arr(path) => delete(value, path),
            _ => Err(Error::str(format!("a path is no array: {path}")).into()),
        });
        box_once(deleted)
    })
}

fn delete<'a>(value: Val, path: &[Val]) -> ValX<'a> {
    let Some((key, rest)) = path.split_first() else {
        return Ok(Val::Null);
    };
    match value {
        Val::Obj(mut object) => {
            let map = Rc::make_mut(&mut object);
            if rest.is_empty() {
                map.shift_remove(key);
            } else if let Some(inner) = map.get_mut(key) {
                *inner = delete(std::mem::take(inner), rest)?;
            }
            Ok(Val::Obj(object))
        }
        value => value.map_index(key, Opt::Optional, |inner| {
            (!rest.is_empty()).then(|| delete(inner, rest)).into_iter()
        }),
    }
}

/// `to_entries`: `[{key, value}, …]`.
fn to_entries() -> Filter<RunPtr<Engine>> {
    ("to_entries", v(0), |cv| {
        let entries = cv.1.key_values().map(|entry| {
            let (key, value) = entry?;
            let mut map = Map::default();
            map.reserve(2);
            map.insert(name("key"), key);
            map.insert(name("value"), value);
            Ok(Val::obj(map))
        });
        box_once(
            entries
                .collect::<Result<Val, Error<Val>>>()
                .map_err(Exn::from),
        )
    })
}

/// `from_entries`: the object of all `.key` and `.value`; of equal keys the last value counts.
fn from_entries() -> Filter<RunPtr<Engine>> {
    ("from_entries", v(0), |cv| {
        let (key, value) = (name("key"), name("value"));
        let mut map = Map::default();
        let filled = cv.1.values().try_for_each(|entry| {
            let entry = entry?;
            map.insert(entry.clone().index(&key)?, entry.index(&value)?);
            Ok::<_, Error<Val>>(())
        });
        box_once(filled.map(|()| Val::obj(map)).map_err(Exn::from))
    })
}

fn name(name: &'static str) -> Val {
    Val::utf8_str(Bytes::from_static(name.as_bytes()))
}
