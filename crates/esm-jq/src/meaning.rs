//! The version of what a program means, for its fingerprint.
//!
//! The first version was that of another engine, which differed from jq in many places: how numbers
//! are written, what is at a missing path, regular expressions, the order of results. A program that
//! uses none of these has kept its meaning, and so its fingerprint: a migration that the other
//! engine began can be resumed. Only what is certain counts.

use jaq_core::load::parse::{BinaryOp, Def, Term};
use jaq_core::ops::{Cmp, Math};
use jaq_core::path::{Opt, Part};

use crate::syntax::{is_key, literal, literals};

/// Version of what programs mean. Raised when a change of the engine changes any output of any
/// program: then a migration that was begun with the old meaning is not resumed with the new one
/// (protocol R3).
const NOW: u32 = 3;

/// The version of programs that mean what they meant from the beginning.
const FIRST: u32 = 1;

/// Functions that a program must not define anew to be looked into.
const KNOWN: [&str; 14] = [
    "empty",
    "error",
    "select",
    "not",
    "IN",
    "del",
    "map",
    "with_entries",
    "true",
    "false",
    "null",
    "to_entries",
    "from_entries",
    "path",
];

/// The version of what the program means.
pub(crate) fn version(program: &Term<&str>) -> u32 {
    let mut scope = Scope::default();
    if scope.stream(program) { FIRST } else { NOW }
}

/// The functions without parameters that are defined and have kept their meaning.
#[derive(Default)]
struct Scope<'s>(Vec<&'s str>);

impl<'s> Scope<'s> {
    /// Whether a term gives what it gave: any number of outputs.
    fn stream(&mut self, term: &Term<&'s str>) -> bool {
        match term {
            Term::BinOp(left, BinaryOp::Pipe(None) | BinaryOp::Comma, right) => {
                self.stream(left) && self.stream(right)
            }
            Term::IfThenElse(branches, otherwise) => {
                branches
                    .iter()
                    .all(|(condition, then)| one(condition) && self.stream(then))
                    && otherwise
                        .as_ref()
                        .is_none_or(|otherwise| self.stream(otherwise))
            }
            Term::Call("empty", arguments) => arguments.is_empty(),
            Term::Call("select" | "error", arguments) => arguments.iter().all(one),
            Term::Call(name, arguments) if arguments.is_empty() && self.0.contains(name) => true,
            Term::Def(defs, body) => {
                let outer = self.0.len();
                let same = defs.iter().all(|def| self.define(def)) && self.stream(body);
                self.0.truncate(outer);
                same
            }
            term => one(term),
        }
    }

    fn define(&mut self, def: &Def<&'s str, Term<&'s str>>) -> bool {
        let same = def.args.is_empty() && !KNOWN.contains(&def.name) && self.stream(&def.body);
        self.0.push(def.name);
        same
    }
}

/// Whether a term gives what it gave, exactly one output or an error.
fn one(term: &Term<&str>) -> bool {
    match term {
        Term::Id => true,
        // as long as it is written as it was
        Term::Num(digits) => is_integer(digits),
        Term::Str(..) => literal(term).is_some(),
        Term::Arr(inner) => inner.as_ref().is_none_or(|inner| one(inner)),
        Term::Obj(entries) => entries
            .iter()
            .all(|(key, value)| literal(key).is_some() && value.as_ref().is_none_or(one)),
        Term::IfThenElse(branches, otherwise) => {
            let same = |(condition, then): &(Term<&str>, Term<&str>)| one(condition) && one(then);
            branches.iter().all(same) && otherwise.as_ref().is_none_or(|otherwise| one(otherwise))
        }
        Term::BinOp(left, op, right) => operation(left, op, right),
        Term::Path(..) => is_path(term),
        Term::Call(name, arguments) => call(name, arguments),
        _ => false,
    }
}

fn operation(left: &Term<&str>, op: &BinaryOp<&str>, right: &Term<&str>) -> bool {
    match op {
        BinaryOp::Pipe(None) => match right {
            Term::Call("IN", types) => one(left) && types.iter().all(|t| literals(t).is_some()),
            right => one(left) && one(right),
        },
        BinaryOp::And | BinaryOp::Or => one(left) && one(right),
        BinaryOp::Cmp(Cmp::Eq | Cmp::Ne) => {
            let text = literal(left).is_some() || literal(right).is_some();
            (text && one(left) && one(right)) || compares_version(left, right)
        }
        BinaryOp::Cmp(_) => compares_version(left, right),
        // a text and anything else: a longer text, or an error
        BinaryOp::Math(Math::Add) => {
            let text = literal(left).is_some() || literal(right).is_some();
            text && one(left) && one(right)
        }
        BinaryOp::Assign | BinaryOp::Update => is_path(left) && one(right),
        _ => false,
    }
}

/// Whether `.schemaversion` is compared with an integer.
fn compares_version(left: &Term<&str>, right: &Term<&str>) -> bool {
    let is_number = |term: &Term<&str>| matches!(term, Term::Num(digits) if is_integer(digits));
    (is_key(left, "schemaversion") && is_number(right))
        || (is_number(left) && is_key(right, "schemaversion"))
}

fn is_integer(digits: &str) -> bool {
    digits.len() <= 15 && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Whether it is `.a.b.c`, without `?`.
fn is_path(term: &Term<&str>) -> bool {
    let Term::Path(base, path) = term else {
        return false;
    };
    let key = |(part, opt): &(Part<Term<&str>>, Opt)| match part {
        Part::Index(key) => literal(key).is_some() && matches!(opt, Opt::Essential),
        Part::Range(..) => false,
    };
    (matches!(**base, Term::Id) || is_path(base)) && path.0.iter().all(key)
}

fn call(name: &str, arguments: &[Term<&str>]) -> bool {
    match (name, arguments) {
        ("not" | "true" | "false" | "null", []) => true,
        ("with_entries", [f]) => one(f),
        ("map", [f]) => one(f),
        ("del", [path]) => is_path(path),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jaq_core::load::parse;

    fn version_of(program: &str) -> u32 {
        let term = parse(program, |p| p.term()).unwrap_or_else(|| panic!("{program}"));
        version(&term)
    }

    #[test]
    fn programs_that_mean_what_they_meant_keep_their_version() {
        for program in [
            ".",
            "if .type == \"A\" then .type = \"B\" | .schemaversion = 2 end",
            "select(.type != \"A\" and .data.kind != \"x\")",
            "if .type | IN(\"A\", \"B\") then empty else . end",
            "if .schemaversion < 3 then .data.a.b = {c: .data.d, e: \"x\" + .data.f} else ., . end",
            ".data |= with_entries(if .key == \"a\" then .key = \"b\" end) | del(.data.c)",
            "def a: if .type == \"A\" then error(\"no\") end; def b: a | del(.x); a | b",
        ] {
            assert_eq!(version_of(program), FIRST, "{program}");
        }
    }

    #[test]
    fn what_another_engine_may_have_given_otherwise_has_a_new_version() {
        for program in [
            ".data.a = 1.0",
            ".data.a += 1",
            ".data.a = .data.b / 2",
            ".data.a // 1",
            ".data.a? | .",
            "del(.data[0, 1])",
            ".data.a |= empty",
            ".data.a = (.b, .c)",
            ".data[0:2]",
            ".data.a = \"\\(.b)\"",
            ".data |= ltrimstr(\"a\")",
            "if .data.n == 2 then empty end",
            "try .a catch .",
            "def map(f): 1; map(.)",
            "def f(g): g; f(.)",
            "def f: .a + 1; f",
            "def f: f; f",
            ".data |= test(\"a\")",
            "reduce .data[] as $x (.; .)",
        ] {
            assert_eq!(version_of(program), NOW, "{program}");
        }
    }
}
