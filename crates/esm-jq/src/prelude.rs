//! The functions that a program may call, and why it may not call others.

use std::sync::LazyLock;

use jaq_core::load;
use jaq_core::load::parse::{Def, Term};

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

/// Why there is no function or variable of this name, if it was left out on purpose.
pub(crate) fn absent(name: &str) -> Option<&'static str> {
    ABSENT
        .iter()
        .find(|(absent, _)| *absent == name)
        .map(|(_, reason)| *reason)
}

/// Functions that are defined in the language itself.
static DEFS: LazyLock<Vec<Def<&'static str, Term<&'static str>>>> =
    LazyLock::new(|| load::parse(include_str!("prelude.jq"), |p| p.defs()).unwrap_or_default());

/// The function of this name that takes so many arguments.
pub(crate) fn find(
    name: &str,
    arity: usize,
) -> Option<&'static Def<&'static str, Term<&'static str>>> {
    DEFS.iter()
        .find(|def| def.name == name && def.args.len() == arity)
}
