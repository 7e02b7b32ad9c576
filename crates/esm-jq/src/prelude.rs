//! The functions that a program may call: the engine's standard library without what reaches
//! outside of the event or differs from run to run.

use jaq_core::load;
use jaq_core::load::parse::{Def, Term};
use jaq_core::native::Fun;

use crate::bounded;
use crate::engine::Engine;
use crate::natives;

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
///
/// The engine defines `to_entries` and `from_entries` in the language; here they are native, as
/// renaming fields is what most transformations do. It lacks `IN` and those after it.
const OWN_DEFS: &str = "
    def del(f): delpaths([path(f)]);
    def with_entries(f): to_entries | map(f) | from_entries;
    def IN(s): any(s == .; .);
    def IN(source; s): any(source == s; .);
    def INDEX(stream; f): reduce stream as $row ({}; . + {($row | f | tostring): $row});
    def INDEX(f): INDEX(.[]; f);
    def toarray: if isarray then . else [.] end;
    def trimstr($x): ltrimstr($x) | rtrimstr($x);
";

/// Definitions of the engine that have a native function in their stead.
const REPLACED_DEFS: [&str; 3] = ["delpaths", "to_entries", "from_entries"];

/// Functions defined in the language itself.
pub(crate) fn defs() -> impl Iterator<Item = Def<&'static str, Term<&'static str>>> {
    jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs())
        .filter(|def| absent(def.name).is_none() && !REPLACED_DEFS.contains(&def.name))
        .chain(load::parse(OWN_DEFS, |p| p.defs()).unwrap_or_default())
}

/// Native functions.
pub(crate) fn funs() -> impl Iterator<Item = Fun<Engine>> {
    let left_out = |name: &str| ABSENT_NATIVES.contains(&name) || REPLACED_NATIVES.contains(&name);
    jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs())
        .filter(move |(name, _, _)| !left_out(name))
        .chain(bounded::funs())
        .chain(natives::funs())
}
