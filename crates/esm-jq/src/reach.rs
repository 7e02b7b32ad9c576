//! Which types of events a program can change, derived from its text.
//!
//! Most programs are a chain of `if .type == "…"`: they leave all other types as they are, and so
//! need not be run on them. Only what is certain counts; where nothing is certain, every type is
//! handed to the program.

use std::collections::BTreeSet;

use jaq_core::load::parse::{BinaryOp, Def, Term};
use jaq_core::ops::Cmp;
use jaq_core::path::Part;

use crate::syntax::{is_key, is_not, literal, literals, stages};

/// Types of events; of all others something is certain. `None` if nothing is.
type Types = Option<BTreeSet<String>>;

/// Functions of the prelude that are looked into.
const KNOWN: [&str; 3] = ["select", "not", "IN"];

/// The types besides which the program is the identity: one output, equal to its input, no error.
pub(crate) fn types(program: &Term<&str>) -> Types {
    Scope::default().identity(program)
}

/// The functions without parameters that were defined so far, and besides which types they are the
/// identity.
#[derive(Default, Clone)]
struct Scope<'s>(Vec<(&'s str, Types)>);

impl<'s> Scope<'s> {
    fn identity(&self, term: &Term<&'s str>) -> Types {
        match term {
            Term::Id => Some(BTreeSet::new()),
            Term::BinOp(left, BinaryOp::Pipe(None), right) => {
                union(self.identity(left), self.identity(right))
            }
            Term::IfThenElse(branches, otherwise) => {
                let otherwise = match otherwise {
                    Some(otherwise) => self.identity(otherwise),
                    None => Some(BTreeSet::new()),
                };
                branches.iter().fold(otherwise, |types, (condition, _)| {
                    union(types, is(condition, false))
                })
            }
            Term::Call("select", arguments) => match &arguments[..] {
                [condition] => is(condition, true),
                _ => None,
            },
            Term::Call(name, arguments) if arguments.is_empty() => self.function(name),
            Term::Def(defs, body) => self.define(defs)?.identity(body),
            _ => None,
        }
    }

    fn function(&self, name: &str) -> Types {
        let (_, types) = self.0.iter().rev().find(|(known, _)| *known == name)?;
        types.clone()
    }

    /// The scope with these functions; `None` if they hide what is looked into.
    fn define(&self, defs: &[Def<&'s str, Term<&'s str>>]) -> Option<Self> {
        let mut scope = self.clone();
        for def in defs {
            if KNOWN.contains(&def.name) {
                return None;
            }
            // Inside of it, its name means itself: nothing is known of that.
            scope.0.push((def.name, None));
            let types = if def.args.is_empty() && !hides(&def.body) {
                scope.identity(&def.body)
            } else {
                None
            };
            scope.0.pop();
            if def.args.is_empty() {
                scope.0.push((def.name, types));
            }
        }
        Some(scope)
    }
}

/// Whether a function of the prelude that is looked into is defined anew at the top of a term.
fn hides(term: &Term<&str>) -> bool {
    matches!(term, Term::Def(defs, _) if defs.iter().any(|def| KNOWN.contains(&def.name)))
}

/// The types besides which a condition gives exactly one value, as true as `wanted`, and no error.
fn is(condition: &Term<&str>, wanted: bool) -> Types {
    match condition {
        Term::BinOp(left, BinaryOp::Cmp(cmp), right) => {
            let equals = match cmp {
                Cmp::Eq => true,
                Cmp::Ne => false,
                _ => return None,
            };
            let name = match (is_key(left, "type"), is_key(right, "type")) {
                (true, false) => literal(right),
                (false, true) => literal(left),
                _ => None,
            }?;
            (equals != wanted).then(|| BTreeSet::from([name]))
        }
        Term::BinOp(_, BinaryOp::Pipe(None), _) => is_pipe(&stages(condition), wanted),
        Term::BinOp(left, BinaryOp::And, right) => both(left, right, wanted, false),
        Term::BinOp(left, BinaryOp::Or, right) => both(left, right, wanted, true),
        _ => None,
    }
}

/// [`is`] for `first | second | …`.
fn is_pipe(stages: &[&Term<&str>], wanted: bool) -> Types {
    match stages {
        [condition] => is(condition, wanted),
        [before @ .., last] if is_not(last) => is_pipe(before, !wanted),
        [first, Term::Call("IN", arguments)] if is_key(first, "type") && !wanted => {
            match &arguments[..] {
                [types] => literals(types),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `left and right` (which `stops` at false) or `left or right` (which stops at true).
fn both(left: &Term<&str>, right: &Term<&str>, wanted: bool, stops: bool) -> Types {
    if wanted == stops {
        // One side is enough; the left one is evaluated first, and must not fail.
        return is(left, wanted).or_else(|| certain(left).then(|| is(right, wanted))?);
    }
    union(is(left, wanted), is(right, wanted))
}

/// Whether a term gives exactly one value and no error, whatever the event.
fn certain(term: &Term<&str>) -> bool {
    match term {
        Term::Num(_) => true,
        Term::Str(..) => literal(term).is_some(),
        Term::Path(base, path) => {
            matches!(**base, Term::Id)
                && matches!(&path.0[..], [(Part::Index(key), _)] if literal(key).is_some())
        }
        Term::BinOp(left, BinaryOp::Cmp(_) | BinaryOp::And | BinaryOp::Or, right) => {
            certain(left) && certain(right)
        }
        Term::BinOp(_, BinaryOp::Pipe(None), _) => {
            let stages = stages(term);
            certain(stages[0]) && stages[1..].iter().all(|stage| is_not(stage))
        }
        _ => false,
    }
}

fn union(a: Types, b: Types) -> Types {
    let mut types = a?;
    types.extend(b?);
    Some(types)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jaq_core::load::parse;

    fn told(program: &str) -> Option<Vec<String>> {
        let term = parse(program, |p| p.term()).unwrap_or_else(|| panic!("{program}"));
        types(&term).map(|types| types.into_iter().collect())
    }

    #[test]
    fn the_types_that_a_program_tests_for_are_told() {
        for (program, types) in [
            (".", vec![]),
            ("if .type == \"A\" then empty end", vec!["A"]),
            (
                "if .type == \"A\" then 1 elif \"B\" == .[\"type\"] then 2 else . end",
                vec!["A", "B"],
            ),
            (
                "if .type == \"A\" then 1 end | select(.type != \"B\")",
                vec!["A", "B"],
            ),
            (
                "if (.type == \"A\" or .type == \"B\") and .data.x then 1 end",
                vec!["A", "B"],
            ),
            (
                "if .schemaversion < 2 and .type == \"A\" then 1 end",
                vec!["A"],
            ),
            ("select(.type == \"A\" | not)", vec!["A"]),
            ("select(.type | IN(\"A\", \"B\") | not)", vec!["A", "B"]),
            ("if .type | IN(\"A\") then 1 end", vec!["A"]),
            ("if .type == \"A\" | not | not then 1 end", vec!["A"]),
            ("select(.type != \"A\" or .data.x)", vec!["A"]),
            (
                "select(.type != \"A\" and .type != \"\\u0042\")",
                vec!["A", "B"],
            ),
            (
                "def a: if .type == \"A\" then f(1) end; def b: select(.type != \"B\"); a | b",
                vec!["A", "B"],
            ),
            (
                "def a: def b: .; b; if .type == \"A\" then 1 else a end",
                vec!["A"],
            ),
        ] {
            let types = types.into_iter().map(str::to_owned).collect();
            assert_eq!(told(program), Some(types), "{program}");
        }
    }

    #[test]
    fn where_nothing_is_certain_nothing_is_told() {
        for program in [
            ".type = \"A\"",
            "., .",
            "if .type == \"A\" then . else empty end",
            "if .type != \"A\" then empty end",
            "if .data.x and .type == \"A\" then 1 end",
            "if .type == \"A\" or .data.x then 1 end",
            "if .type == (\"A\", \"B\") then 1 end",
            "if .type == \"A\\(1)\" then 1 end",
            "if .type == .subject then 1 end",
            "if .type > \"A\" then 1 end",
            "if .type | IN(\"A\", .x) then 1 end",
            "select(.type | IN(\"A\"))",
            "if .data.type == \"A\" then 1 end",
            "select(.type == \"A\")",
            "select(.type != \"A\"; 1)",
            "def select(f): empty; select(.type != \"A\")",
            "def not: true; if .type == \"A\" | not | not then 1 end",
            "if .type == \"A\" | not then 1 end",
            "def a: def select(f): 1; select(.type != \"A\"); a",
            "def a: a; a",
            "def a(f): .; a",
            "def a: .; def a: 1; a",
            "if .type == \"A\" then 1 end?",
        ] {
            assert_eq!(told(program), None, "{program}");
        }
    }
}
