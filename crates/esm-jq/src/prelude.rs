//! The functions that a program may call: the engine's standard library without what reaches
//! outside of the event or differs from run to run.

use jaq_core::box_iter::box_once;
use jaq_core::load;
use jaq_core::load::parse::{Def, Term};
use jaq_core::native::{Filter, Fun, run, v};
use jaq_core::path::Opt;
use jaq_core::{Error, Exn, RunPtr, ValT};
use jaq_json::{Rc, Val, ValX};

use crate::budget;
use crate::program::Engine;
use crate::value::{MAX_DEPTH, ReadFault, read};

/// Version of what programs mean: part of the fingerprint.
///
/// Raised when an upgrade of the engine, or a change here, changes any output of any program: then a
/// migration that was begun with the old meaning is not resumed with the new one (protocol R3).
pub(crate) const SEMANTICS: u32 = 1;

const CLOCK: &str = "the result would depend on when it runs";
const ENVIRONMENT: &str = "the result would depend on the environment it runs in";
const TIME_ZONE: &str = "the result would depend on the time zone of the machine it runs on";
const OTHER_EVENTS: &str =
    "a program sees one event; in which order and how often events are handed over is not fixed";
const PRINTS: &str =
    "each event is transformed several times (planning, copying, verifying), by many threads";
const ENDS: &str = "it would end the process; use `empty` to drop the event or `error` to fail";
const FILES: &str = "the fingerprint of the program would not cover what it loads";

/// Names that jq has and esm leaves out, each with the reason.
const ABSENT: [(&str, &str); 20] = [
    ("now", CLOCK),
    ("env", ENVIRONMENT),
    ("$ENV", ENVIRONMENT),
    ("$__prog_args", ENVIRONMENT),
    ("$__prog_name", ENVIRONMENT),
    ("builtins", ENVIRONMENT),
    ("get_search_list", ENVIRONMENT),
    ("localtime", TIME_ZONE),
    ("strflocaltime", TIME_ZONE),
    ("input", OTHER_EVENTS),
    ("inputs", OTHER_EVENTS),
    ("input_filename", OTHER_EVENTS),
    ("input_line_number", OTHER_EVENTS),
    ("debug", PRINTS),
    ("stderr", PRINTS),
    ("halt", ENDS),
    ("halt_error", ENDS),
    ("import", FILES),
    ("include", FILES),
    ("modulemeta", FILES),
];

/// Native functions of the engine that the functions above are made of.
const ABSENT_NATIVES: [&str; 7] = [
    "now",
    "env",
    "localtime",
    "strflocaltime",
    "debug_empty",
    "stderr_empty",
    "halt",
];

/// Native functions of the engine that have a bounded one in their stead.
const REPLACED_NATIVES: [&str; 2] = ["range", "fromjson"];

/// Why there is no function or variable of this name, if it was left out on purpose.
pub(crate) fn absent(name: &str) -> Option<&'static str> {
    ABSENT
        .iter()
        .find(|(absent, _)| *absent == name)
        .map(|(_, reason)| *reason)
}

/// Definitions in the place of the engine's.
///
/// `del` of the engine puts the last key into the place of the deleted one, and deletes `.[0, 1]`
/// one after the other, which are the first and the third element.
const OWN_DEFS: &str = "def del(f): delpaths([path(f)]);";

/// Functions defined in the language itself.
pub(crate) fn defs() -> impl Iterator<Item = Def<&'static str, Term<&'static str>>> {
    jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs())
        .filter(|def| absent(def.name).is_none() && def.name != "delpaths")
        .chain(load::parse(OWN_DEFS, |p| p.defs()).unwrap_or_default())
}

/// Native functions.
pub(crate) fn funs() -> impl Iterator<Item = Fun<Engine>> {
    let left_out = |name: &str| ABSENT_NATIVES.contains(&name) || REPLACED_NATIVES.contains(&name);
    jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs())
        .filter(move |(name, _, _)| !left_out(name))
        .chain(budget::funs())
        .chain([run::<Engine>(from_json()), run::<Engine>(delete_paths())])
}

/// `fromjson` that reads exactly one value, strictly and with bounded nesting.
fn from_json() -> Filter<RunPtr<Engine>> {
    ("fromjson", v(0), |cv| {
        let value = cv.1.try_as_utf8_bytes_owned().and_then(|text| {
            read(&text).map_err(|fault| {
                Error::str(match fault {
                    ReadFault::NotJson(at) => {
                        format!("cannot parse {} as JSON: unexpected at byte {at}", cv.1)
                    }
                    ReadFault::TooDeep => {
                        format!("cannot parse JSON that is nested deeper than {MAX_DEPTH} levels")
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
