//! Which schemas a program certainly changes or drops, derived from its text.
//!
//! The types and schema versions that a program tests for are tried one by one: of an event of that
//! schema, and nothing else known of it, all outputs are followed that it may give. Where each has
//! another type or another version, or there is none, no event of the schema stays what it is. Only
//! what is certain counts; what a term may give that is not looked into is anything.

use std::cell::Cell;
use std::collections::BTreeSet;

use jaq_core::load::parse::{BinaryOp, Def, Term};
use jaq_core::ops::{Cmp, Math};

use crate::syntax::{each, first_key, is_key, is_not, literal, literals, stages};

/// The version of an event that has none.
const FIRST_VERSION: u64 = 1;

/// Functions of the prelude that are looked into.
const KNOWN: [&str; 6] = ["select", "not", "IN", "empty", "error", "del"];

/// The most terms that are followed: a short text can mean very many.
const PATIENCE: u32 = 100_000;

/// What is known of an event on its way through a program; what is absent may be anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    event_type: Option<String>,
    version: Option<u64>,
}

/// All that may come out; nothing where it may be anything.
type Outputs = Option<BTreeSet<State>>;

/// The schemas that a program certainly changes or drops, and that it makes of no other.
pub(crate) fn schemas(program: &Term<&str>) -> BTreeSet<(String, u64)> {
    let (types, versions) = tested(program);
    let tries = types.iter().flat_map(|event_type| {
        versions.iter().map(|version| State {
            event_type: Some(event_type.clone()),
            version: Some(*version),
        })
    });
    // a type that no text has represents all that are not tested for
    let other = State {
        event_type: Some("\0".to_owned()),
        version: None,
    };
    let scope = Scope::default();
    let outcomes: Vec<(State, Outputs)> = tries
        .chain([other])
        .map(|state| (state.clone(), scope.outputs(program, state)))
        .collect();
    let made_of_another = |schema: &State| {
        let others = outcomes.iter().filter(|(input, _)| input != schema);
        let mut made = others.map(|(_, outputs)| outputs.as_ref());
        made.any(|outputs| outputs.is_none_or(|all| all.iter().any(|o| o.may_be(schema))))
    };
    let retired = outcomes.iter().filter(|(schema, outputs)| {
        let changed = |all: &BTreeSet<State>| !all.iter().any(|output| output.may_be(schema));
        outputs.as_ref().is_some_and(changed) && !made_of_another(schema)
    });
    retired
        .filter_map(|(schema, _)| Some((schema.event_type.clone()?, schema.version?)))
        .collect()
}

/// The types and versions that a program compares with.
fn tested(program: &Term<&str>) -> (BTreeSet<String>, BTreeSet<u64>) {
    let (mut types, mut versions) = (BTreeSet::new(), BTreeSet::from([FIRST_VERSION]));
    each(program, &mut |term| match term {
        Term::BinOp(left, BinaryOp::Cmp(_), right) => {
            types.extend(compared(left, right, "type").and_then(literal));
            if let Some(version) = compared(left, right, "schemaversion").and_then(number) {
                versions.extend([
                    version.saturating_sub(1),
                    version,
                    version.saturating_add(1),
                ]);
            }
        }
        Term::Call("IN", arguments) => {
            types.extend(arguments.iter().filter_map(literals).flatten());
        }
        _ => {}
    });
    (types, versions)
}

/// What `.key` is compared with.
fn compared<'t, 's>(
    left: &'t Term<&'s str>,
    right: &'t Term<&'s str>,
    key: &str,
) -> Option<&'t Term<&'s str>> {
    match (is_key(left, key), is_key(right, key)) {
        (true, false) => Some(right),
        (false, true) => Some(left),
        _ => None,
    }
}

/// The number that a term is, if it is an integer that is not negative.
pub(crate) fn number(term: &Term<&str>) -> Option<u64> {
    match term {
        Term::Num(digits) => digits.parse().ok(),
        _ => None,
    }
}

impl State {
    /// Whether an event of which this is known may be of that schema.
    fn may_be(&self, schema: &Self) -> bool {
        let of_type = self.event_type.is_none() || self.event_type == schema.event_type;
        of_type && (self.version.is_none() || self.version == schema.version)
    }

    /// What is known once a key has this value, if that is known.
    fn with(mut self, key: &str, value: Option<&Term<&str>>) -> Self {
        match key {
            "type" => self.event_type = value.and_then(literal),
            "schemaversion" => self.version = value.and_then(number),
            _ => {}
        }
        self
    }

    /// What is known once these keys have these values.
    fn with_all(self, entries: &[(Term<&str>, Option<Term<&str>>)], input: &Self) -> Option<Self> {
        entries.iter().try_fold(self, |state, (key, value)| {
            // `{(.x): 1}` and `{$x}` may name any key
            let key = literal(key)?;
            Some(match (key.as_str(), value) {
                ("type", None) => Self {
                    event_type: input.event_type.clone(),
                    ..state
                },
                ("schemaversion", None) => Self {
                    version: input.version,
                    ..state
                },
                (key, value) => state.with(key, value.as_ref()),
            })
        })
    }

    /// What a condition gives, where all that it may give is equally true.
    fn truth(&self, condition: &Term<&str>) -> Option<bool> {
        match condition {
            Term::BinOp(left, BinaryOp::Cmp(cmp), right) => self.compare(left, *cmp, right),
            Term::BinOp(_, BinaryOp::Pipe(None), _) => self.truth_of_pipe(&stages(condition)),
            Term::BinOp(left, BinaryOp::And, right) => self.both(left, right, false),
            Term::BinOp(left, BinaryOp::Or, right) => self.both(left, right, true),
            _ => None,
        }
    }

    fn compare(&self, left: &Term<&str>, cmp: Cmp, right: &Term<&str>) -> Option<bool> {
        if let Some(text) = compared(left, right, "type").and_then(literal) {
            let equal = *self.event_type.as_ref()? == text;
            return match cmp {
                Cmp::Eq => Some(equal),
                Cmp::Ne => Some(!equal),
                _ => None,
            };
        }
        let number = compared(left, right, "schemaversion").and_then(number)?;
        let version = self.version?;
        let (left, right) = if is_key(left, "schemaversion") {
            (version, number)
        } else {
            (number, version)
        };
        Some(match cmp {
            Cmp::Eq => left == right,
            Cmp::Ne => left != right,
            Cmp::Lt => left < right,
            Cmp::Le => left <= right,
            Cmp::Gt => left > right,
            Cmp::Ge => left >= right,
        })
    }

    fn truth_of_pipe(&self, stages: &[&Term<&str>]) -> Option<bool> {
        match stages {
            [condition] => self.truth(condition),
            [before @ .., last] if is_not(last) => Some(!self.truth_of_pipe(before)?),
            [first, Term::Call("IN", arguments)] if is_key(first, "type") => match &arguments[..] {
                [types] => Some(literals(types)?.contains(self.event_type.as_ref()?)),
                _ => None,
            },
            _ => None,
        }
    }

    /// `left and right` (which `stops` at false) or `left or right` (which stops at true).
    fn both(&self, left: &Term<&str>, right: &Term<&str>, stops: bool) -> Option<bool> {
        match (self.truth(left), self.truth(right)) {
            (Some(truth), _) | (_, Some(truth)) if truth == stops => Some(stops),
            (Some(_), Some(_)) => Some(!stops),
            _ => None,
        }
    }
}

/// The functions without parameters that were defined so far.
#[derive(Clone, Default)]
struct Scope<'t, 's> {
    functions: Vec<(&'s str, &'t Term<&'s str>)>,
    followed: std::rc::Rc<Cell<u32>>,
}

impl<'t, 's> Scope<'t, 's> {
    fn outputs(&self, term: &'t Term<&'s str>, input: State) -> Outputs {
        self.followed.set(self.followed.get() + 1);
        if self.followed.get() > PATIENCE {
            return None;
        }
        match term {
            Term::Id => Some(BTreeSet::from([input])),
            Term::BinOp(left, BinaryOp::Pipe(None), right) => {
                let mut all = BTreeSet::new();
                for state in self.outputs(left, input)? {
                    all.extend(self.outputs(right, state)?);
                }
                Some(all)
            }
            // the right side sees the same event, as often as the left one gives a value
            Term::BinOp(_, BinaryOp::Pipe(Some(_)), right) => self.outputs(right, input),
            Term::BinOp(left, BinaryOp::Comma | BinaryOp::Alt, right) => {
                let mut all = self.outputs(left, input.clone())?;
                all.extend(self.outputs(right, input)?);
                Some(all)
            }
            Term::BinOp(left, op, right) => changed(left, op, right, input),
            Term::IfThenElse(branches, otherwise) => {
                self.branches(branches, otherwise.as_deref(), input)
            }
            Term::Obj(entries) => {
                let bare = State {
                    event_type: None,
                    version: Some(FIRST_VERSION),
                };
                Some(BTreeSet::from([bare.with_all(entries, &input)?]))
            }
            Term::TryCatch(body, None) => self.outputs(body, input),
            Term::Def(defs, body) => self.define(defs)?.outputs(body, input),
            Term::Call(name, arguments) => self.call(name, arguments, input),
            _ => None,
        }
    }

    fn branches(
        &self,
        branches: &'t [(Term<&'s str>, Term<&'s str>)],
        otherwise: Option<&'t Term<&'s str>>,
        input: State,
    ) -> Outputs {
        let mut all = BTreeSet::new();
        for (condition, then) in branches {
            let truth = input.truth(condition);
            if truth != Some(false) {
                all.extend(self.outputs(then, input.clone())?);
            }
            if truth == Some(true) {
                return Some(all);
            }
        }
        match otherwise {
            Some(otherwise) => all.extend(self.outputs(otherwise, input)?),
            None => drop(all.insert(input)),
        }
        Some(all)
    }

    fn call(&self, name: &str, arguments: &'t [Term<&'s str>], input: State) -> Outputs {
        match (name, arguments) {
            ("empty", []) | ("error", _) => Some(BTreeSet::new()),
            ("select", [condition]) => Some(match input.truth(condition) {
                Some(false) => BTreeSet::new(),
                _ => BTreeSet::from([input]),
            }),
            ("del", [path]) => match first_key(path)?.as_str() {
                "type" | "schemaversion" => None,
                _ => Some(BTreeSet::from([input])),
            },
            (name, []) => {
                let at = self
                    .functions
                    .iter()
                    .rposition(|(known, _)| *known == name)?;
                let (_, body) = self.functions[at];
                let mut scope = self.clone();
                // inside of it, its name and later ones mean something else: not looked into
                scope.functions.truncate(at);
                scope.outputs(body, input)
            }
            _ => None,
        }
    }

    /// The scope with these functions; `None` if they hide what is looked into.
    fn define(&self, defs: &'t [Def<&'s str, Term<&'s str>>]) -> Option<Self> {
        let mut scope = self.clone();
        for def in defs {
            if KNOWN.contains(&def.name) {
                return None;
            }
            if def.args.is_empty() {
                scope.functions.push((def.name, &def.body));
            }
        }
        Some(scope)
    }
}

/// What comes out of an assignment. How often, and whether at all, does not matter.
fn changed(left: &Term<&str>, op: &BinaryOp<&str>, right: &Term<&str>, input: State) -> Outputs {
    if let (Term::Id, BinaryOp::Math(Math::Add), Term::Obj(entries)) = (left, op, right) {
        let state = input.clone().with_all(entries, &input)?;
        return Some(BTreeSet::from([state]));
    }
    let assigns = matches!(
        op,
        BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt
    );
    let key = first_key(left).filter(|_| assigns)?;
    let state = match (op, is_key(left, &key)) {
        (BinaryOp::Assign, true) => input.with(&key, Some(right)),
        (BinaryOp::UpdateMath(Math::Add), true) if key == "schemaversion" => State {
            version: input
                .version
                .zip(number(right))
                .and_then(|(v, n)| v.checked_add(n)),
            ..input
        },
        _ => input.with(&key, None),
    };
    Some(BTreeSet::from([state]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jaq_core::load::parse;

    fn told(program: &str) -> Vec<(String, u64)> {
        let term = parse(program, |p| p.term()).unwrap_or_else(|| panic!("{program}"));
        schemas(&term).into_iter().collect()
    }

    #[test]
    fn schemas_that_are_certainly_changed_are_told() {
        for (program, expected) in [
            ("if .type == \"A\" then .type = \"B\" end", vec![("A", 1)]),
            (
                "if .type == \"A\" then .schemaversion = 2 | .data |= f end",
                vec![("A", 1)],
            ),
            (
                "if .type == \"A\" then .schemaversion += 1 end",
                vec![("A", 1)],
            ),
            ("select(.type != \"A\")", vec![("A", 1)]),
            (
                "select(.type | IN(\"A\", \"B\") | not)",
                vec![("A", 1), ("B", 1)],
            ),
            (
                "if .type == \"A\" then (.type = \"B\" | .data = {}), (.type = \"C\") end",
                vec![("A", 1)],
            ),
            (
                "if .type == \"A\" and .schemaversion < 3 then .schemaversion = 3 end",
                vec![("A", 1), ("A", 2)],
            ),
            (
                "if .type == \"A\" then . + {type: \"B\", data: .data.x} end",
                vec![("A", 1)],
            ),
            (
                "def a: if .type == \"A\" then .type = \"AA\" end; def b: select(.type != \"B\"); a | b",
                vec![("A", 1), ("B", 1)],
            ),
            (
                "if .type == \"A\" then (if .data.x then .type = \"B\" else empty end) end",
                vec![("A", 1)],
            ),
            (
                "if .type == \"A\" then {id, time, type: \"B\", data}, {id, type, schemaversion: 2} end",
                vec![("A", 1)],
            ),
            (
                "if .type == \"A\" then .data.x as $x | .type = \"B\" | .data = $x end",
                vec![("A", 1)],
            ),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(name, version)| (name.to_owned(), version))
                .collect();
            assert_eq!(told(program), expected, "{program}");
        }
    }

    #[test]
    fn what_is_not_certain_is_not_told() {
        for program in [
            ".",
            "if .type == \"A\" then .data.x = 1 end",
            "if .type == \"A\" and .data.x then .type = \"B\" end",
            "select(.type != \"A\" or .data.x)",
            "if .type == \"A\" then .type = .data.kind end",
            "if .type == \"A\" then ., (.type = \"B\") end",
            "if .type == \"A\" then {type, id} end",
            "if .type == \"A\" then {type: .data.x, id} end",
            "if .type == \"A\" then f end",
            "if .type == \"A\" then .type = \"B\" | .type = \"A\" end",
            "if .type == \"A\" then . + {(.data.k): \"B\"} end",
            "if .type == \"A\" then .[.data.k] = \"B\" end",
            "def select(f): .; select(.type != \"A\")",
            "def a: a; if .type == \"A\" then a end",
            // it makes the very schema out of another
            "if .type == \"A\" then .type = \"B\" elif .type == \"B\" then .type = \"A\" end",
            "if .type == \"A\" then .type = \"B\" else .type = \"A\" end",
            "if .type == \"A\" then .type = \"B\" else .type = .data.kind end",
        ] {
            assert_eq!(told(program), [], "{program}");
        }
    }

    #[test]
    fn a_text_that_means_very_many_ends_soon() {
        let mut program = "def f0: if .data.x then .type = \"B\" end; ".to_owned();
        for n in 1..40 {
            program.push_str(&format!("def f{n}: f{} | f{0}; ", n - 1));
        }
        program.push_str("if .type == \"A\" then f39 end");
        assert_eq!(told(&program), []);
    }
}
