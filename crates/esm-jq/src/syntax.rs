//! Looking at a program's syntax tree.

use std::collections::BTreeSet;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern, Term};
use jaq_core::path::Part;

/// Whether it is `.key`.
pub(crate) fn is_key(term: &Term<&str>, wanted: &str) -> bool {
    let Term::Path(base, path) = term else {
        return false;
    };
    matches!(**base, Term::Id)
        && matches!(&path.0[..], [(Part::Index(key), _)] if literal(key).as_deref() == Some(wanted))
}

/// The first key of a path from the event on: `a` of `.a`, `.a.b` and `.a[0]`.
pub(crate) fn first_key(term: &Term<&str>) -> Option<String> {
    let Term::Path(base, path) = term else {
        return None;
    };
    match (&**base, path.0.first()) {
        (Term::Id, Some((Part::Index(key), _))) => literal(key),
        (inner @ Term::Path(..), _) => first_key(inner),
        _ => None,
    }
}

/// `first | second | …`, one by one.
pub(crate) fn stages<'t, 's>(term: &'t Term<&'s str>) -> Vec<&'t Term<&'s str>> {
    match term {
        Term::BinOp(left, BinaryOp::Pipe(None), right) => {
            let mut all = stages(left);
            all.extend(stages(right));
            all
        }
        term => vec![term],
    }
}

pub(crate) fn is_not(term: &Term<&str>) -> bool {
    matches!(term, Term::Call("not", arguments) if arguments.is_empty())
}

/// The text of a string that is no format and has nothing inserted.
pub(crate) fn literal(term: &Term<&str>) -> Option<String> {
    let Term::Str(None, parts) = term else {
        return None;
    };
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(part) => text.push_str(part),
            StrPart::Char(c) => text.push(*c),
            StrPart::Term(_) => return None,
        }
    }
    Some(text)
}

/// The texts of strings with commas between them.
pub(crate) fn literals(term: &Term<&str>) -> Option<BTreeSet<String>> {
    match term {
        Term::BinOp(left, BinaryOp::Comma, right) => {
            let mut texts = literals(left)?;
            texts.extend(literals(right)?);
            Some(texts)
        }
        term => literal(term).map(|text| BTreeSet::from([text])),
    }
}

/// Hands over a term and all that it is made of.
pub(crate) fn each<'t, 's>(term: &'t Term<&'s str>, see: &mut dyn FnMut(&'t Term<&'s str>)) {
    see(term);
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => {}
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(term) = part {
                    each(term, see);
                }
            }
        }
        Term::Arr(inner) => inner.iter().for_each(|term| each(term, see)),
        Term::Obj(entries) => {
            for (key, value) in entries {
                each(key, see);
                value.iter().for_each(|term| each(term, see));
            }
        }
        Term::Neg(inner) | Term::Label(_, inner) => each(inner, see),
        Term::BinOp(left, op, right) => {
            each(left, see);
            if let BinaryOp::Pipe(Some(pattern)) = op {
                each_in(pattern, see);
            }
            each(right, see);
        }
        Term::Fold(_, source, pattern, arguments) => {
            each(source, see);
            each_in(pattern, see);
            arguments.iter().for_each(|term| each(term, see));
        }
        Term::TryCatch(body, catch) => {
            each(body, see);
            catch.iter().for_each(|term| each(term, see));
        }
        Term::IfThenElse(branches, otherwise) => {
            for (condition, then) in branches {
                each(condition, see);
                each(then, see);
            }
            otherwise.iter().for_each(|term| each(term, see));
        }
        Term::Def(defs, body) => {
            defs.iter().for_each(|def| each(&def.body, see));
            each(body, see);
        }
        Term::Call(_, arguments) => arguments.iter().for_each(|term| each(term, see)),
        Term::Path(base, path) => {
            each(base, see);
            for (part, _) in &path.0 {
                match part {
                    Part::Index(index) => each(index, see),
                    Part::Range(from, to) => {
                        from.iter().chain(to).for_each(|term| each(term, see));
                    }
                }
            }
        }
    }
}

fn each_in<'t, 's>(pattern: &'t Pattern<&'s str>, see: &mut dyn FnMut(&'t Term<&'s str>)) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(inner) => inner.iter().for_each(|pattern| each_in(pattern, see)),
        Pattern::Obj(entries) => {
            for (key, pattern) in entries {
                each(key, see);
                each_in(pattern, see);
            }
        }
    }
}
