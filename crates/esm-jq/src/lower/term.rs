//! Terms: what each construct of the language becomes.

use esm_core::transform::MaskingKey;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern as Tree, Term};
use jaq_core::ops::Math as Operator;
use jaq_core::path::{Opt, Part};

use super::lowerer::{Lowerer, offset};
use super::pattern::plain;
use super::scope::{Name, Scope};
use crate::diagnostic::Fault;
use crate::ir::{Code, Control, Id, Op, Piece};
use crate::natives::Format;
use crate::syntax;
use crate::value::{Map, Math, Val, read_number};

/// Compiles a syntax tree, with the key of its pseudonyms if there is one.
///
/// # Errors
/// Names that mean nothing, and what the program says that cannot be run.
pub(crate) fn lower<'s>(
    code: &'s str,
    body: &Term<&'s str>,
    key: Option<&MaskingKey>,
) -> Result<Code, Vec<Fault<'s>>> {
    let mut lowerer = Lowerer::new(code, key);
    let main = lowerer.term(body, &mut Scope::default());
    if lowerer.faults.is_empty() {
        Ok(Code {
            nodes: lowerer.nodes,
            bodies: lowerer.bodies,
            main,
            masks: lowerer.masks,
        })
    } else {
        Err(lowerer.faults)
    }
}

impl<'s> Lowerer<'s, '_> {
    pub(super) fn term(&mut self, term: &Term<&'s str>, scope: &mut Scope<'s>) -> Id {
        let length = scope.names.len();
        let id = self.op(term, scope);
        scope.cut(length);
        if self.nodes[id as usize].at.is_none()
            && let Some(found) = syntax::place(term)
        {
            self.nodes[id as usize].at = offset(self.code, found);
        }
        id
    }

    fn op(&mut self, term: &Term<&'s str>, scope: &mut Scope<'s>) -> Id {
        match term {
            Term::Id => self.add(Op::Identity, true),
            Term::Recurse => self.add(Op::Control(Control::Recurse, Vec::new()), false),
            Term::Num(digits) => match read_number(digits) {
                Some(number) => self.constant(Val::Num(number)),
                None => self.fault(digits, "no number"),
            },
            Term::Str(format, parts) => self.text(*format, parts, scope),
            Term::Arr(None) => self.constant(Vec::new().into()),
            Term::Arr(Some(inner)) => {
                let inner = self.term(inner, scope);
                self.add(Op::Array(Some(inner)), true)
            }
            Term::Obj(entries) => self.object(entries, scope),
            Term::Neg(inner) => {
                let inner = self.term(inner, scope);
                let single = self.single(inner);
                self.add(Op::Negate(inner), single)
            }
            Term::BinOp(left, op, right) => self.binary(left, op, right, scope),
            Term::Label(name, body) => {
                scope.push(Name::Label(name));
                let body = self.term(body, scope);
                self.add(Op::Label(body), false)
            }
            Term::Break(name) => {
                match scope.outwards(|known| matches!(known, Name::Label(known) if known == name)) {
                    Some(outwards) => self.add(Op::Break(outwards), false),
                    None => self.fault(name, format!("undefined label: {name}")),
                }
            }
            Term::Fold(name, source, pattern, arguments) => {
                self.fold(name, source, pattern, arguments, scope)
            }
            Term::TryCatch(body, catch) => {
                let body = self.term(body, scope);
                let catch = catch.as_ref().map(|catch| self.term(catch, scope));
                let single = self.single(body) && catch.is_some_and(|catch| self.single(catch));
                self.add(Op::Try(body, catch), single)
            }
            Term::IfThenElse(branches, otherwise) => {
                let mut last = match otherwise {
                    Some(otherwise) => self.term(otherwise, scope),
                    None => self.add(Op::Identity, true),
                };
                for (condition, then) in branches.iter().rev() {
                    let (condition, then) = (self.term(condition, scope), self.term(then, scope));
                    let single = self.all_single(&[condition, then, last]);
                    last = self.add(Op::If(condition, then, last), single);
                }
                last
            }
            Term::Def(defs, body) => {
                for def in defs {
                    self.define(def, scope);
                }
                self.term(body, scope)
            }
            Term::Call(name, arguments) => self.call(name, arguments, scope),
            Term::Var(name) => self.variable(name, scope),
            Term::Path(base, path) => {
                let mut base = self.term(base, scope);
                for (part, opt) in &path.0 {
                    base = self.part(base, part, matches!(opt, Opt::Optional), scope);
                }
                base
            }
        }
    }

    fn part(
        &mut self,
        base: Id,
        part: &Part<Term<&'s str>>,
        optional: bool,
        scope: &mut Scope<'s>,
    ) -> Id {
        let one = self.single(base) && !optional;
        let at = match part {
            Part::Index(key) => syntax::place(key),
            Part::Range(from, to) => from.iter().chain(to).find_map(syntax::place),
        };
        let id = match part {
            Part::Index(key) => {
                let key = self.term(key, scope);
                let single = one && self.single(key);
                self.add(Op::Index(base, key, optional), single)
            }
            Part::Range(None, None) => self.add(Op::Each(base, optional), false),
            Part::Range(from, to) => {
                let from = from.as_ref().map(|from| self.term(from, scope));
                let to = to.as_ref().map(|to| self.term(to, scope));
                let single = one && from.iter().chain(&to).all(|id| self.single(*id));
                self.add(Op::Slice(base, from, to, optional), single)
            }
        };
        self.nodes[id as usize].at = at.and_then(|found| offset(self.code, found));
        id
    }

    fn text(
        &mut self,
        format: Option<&'s str>,
        parts: &[StrPart<&'s str, Term<&'s str>>],
        scope: &mut Scope<'s>,
    ) -> Id {
        let format = match format.map(|name| (name, Format::of(name))) {
            None => Format::Text,
            Some((_, Some(format))) => format,
            Some((name, None)) => return self.fault(name, format!("{name} is no format")),
        };
        let mut pieces = Vec::new();
        let mut plain = String::new();
        for part in parts {
            match part {
                StrPart::Str(text) => plain.push_str(text),
                StrPart::Char(c) => plain.push(*c),
                StrPart::Term(term) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Term(self.term(term, scope)));
                }
            }
        }
        if pieces.is_empty() {
            return self.constant(plain.into());
        }
        pieces.push(Piece::Text(plain));
        let single = pieces.iter().all(|piece| match piece {
            Piece::Text(_) => true,
            Piece::Term(id) => self.single(*id),
        });
        self.add(Op::Interpolated(format, pieces), single)
    }

    fn object(
        &mut self,
        entries: &[(Term<&'s str>, Option<Term<&'s str>>)],
        scope: &mut Scope<'s>,
    ) -> Id {
        if entries.is_empty() {
            return self.constant(Val::obj(Map::default()));
        }
        let mut lowered = Vec::new();
        for (key, value) in entries {
            let entry = match (key, value) {
                // `{$x}`
                (Term::Var(name), None) => {
                    let key = self.constant(name.trim_start_matches('$').into());
                    (key, self.term(&Term::Var(name), scope))
                }
                // `{a}` and `{"a b"}`
                (key, None) => {
                    let key = self.term(key, scope);
                    let all = self.add(Op::Identity, true);
                    let single = self.single(key);
                    (key, self.add(Op::Index(all, key, false), single))
                }
                (key, Some(value)) => (self.term(key, scope), self.term(value, scope)),
            };
            lowered.push(entry);
        }
        let mut ids = lowered.iter().flat_map(|(key, value)| [*key, *value]);
        let single = ids.all(|id| self.single(id));
        self.add(Op::Object(lowered), single)
    }

    fn binary(
        &mut self,
        left: &Term<&'s str>,
        op: &BinaryOp<&'s str>,
        right: &Term<&'s str>,
        scope: &mut Scope<'s>,
    ) -> Id {
        if let BinaryOp::Pipe(Some(pattern)) = op {
            let binding = self.binding(left, pattern, scope);
            let body = self.term(right, scope);
            let single = self.single(binding.source) && self.single(body) && plain(&binding);
            return self.add(Op::Bind(binding, body), single);
        }
        let (left, right) = (self.term(left, scope), self.term(right, scope));
        let both = self.all_single(&[left, right]);
        let right_alone = self.single(right);
        match op {
            BinaryOp::Pipe(_) => self.add(Op::Pipe(left, right), both),
            BinaryOp::Comma => self.add(Op::Comma(left, right), false),
            BinaryOp::Alt => self.add(Op::Alternative(left, right), both),
            BinaryOp::And => self.add(Op::And(left, right), both),
            BinaryOp::Or => self.add(Op::Or(left, right), both),
            BinaryOp::Math(math) => self.add(Op::Math(operator(*math), left, right), both),
            BinaryOp::Cmp(cmp) => self.add(Op::Compare(*cmp, left, right), both),
            BinaryOp::Assign => self.add(Op::Assign(left, right), right_alone),
            BinaryOp::Update => self.add(Op::Update(left, right), true),
            BinaryOp::UpdateMath(math) => {
                let math = Some(operator(*math));
                self.add(Op::UpdateBy(left, math, right), right_alone)
            }
            BinaryOp::UpdateAlt => self.add(Op::UpdateBy(left, None, right), right_alone),
        }
    }

    fn fold(
        &mut self,
        name: &'s str,
        source: &Term<&'s str>,
        pattern: &Tree<&'s str>,
        arguments: &[Term<&'s str>],
        scope: &mut Scope<'s>,
    ) -> Id {
        let takes = if name == "reduce" { 2..=2 } else { 2..=3 };
        if !takes.contains(&arguments.len()) {
            let right = if name == "reduce" { "2" } else { "2 or 3" };
            let given = arguments.len();
            return self.fault(
                name,
                format!("`{name}` takes {right} arguments, not {given}"),
            );
        }
        // the initial value knows no variable of the pattern
        let init = self.term(&arguments[0], scope);
        let binding = self.binding(source, pattern, scope);
        let update = self.term(&arguments[1], scope);
        match arguments.get(2) {
            _ if name == "reduce" => {
                let single = self.single(init);
                self.add(Op::Reduce(binding, init, update), single)
            }
            extract => {
                let extract = extract.map(|extract| self.term(extract, scope));
                self.add(Op::Foreach(binding, init, update, extract), false)
            }
        }
    }
}

fn operator(math: Operator) -> Math {
    match math {
        Operator::Add => Math::Add,
        Operator::Sub => Math::Sub,
        Operator::Mul => Math::Mul,
        Operator::Div => Math::Div,
        Operator::Rem => Math::Rem,
    }
}
