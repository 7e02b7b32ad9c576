//! What is changed in a program's syntax tree before it is compiled: recursive functions ask the
//! budget at each call, new arrays for each element, `+` and `*` for what they make, and `$__loc__`
//! becomes its own place in the text.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::Part;

use crate::bounded::{KEPT, STEP, SUM, TIMES};

/// A variable that no program has.
const ADDED: &str = "$__esm_added";

/// Returns the line, in digits, that a part of the program begins in.
type Line<'f, 's> = &'f dyn Fn(&'s str) -> &'s str;

/// Rewrites a function of the prelude or the whole program.
pub(crate) fn def<'s>(def: &mut Def<&'s str, Term<&'s str>>, line: Line<'_, 's>) {
    Rewriter {
        open: Vec::new(),
        line,
    }
    .def(def);
}

struct Rewriter<'f, 's> {
    /// The functions that the current place is inside of.
    open: Vec<Open<'s>>,
    line: Line<'f, 's>,
}

struct Open<'s> {
    name: &'s str,
    arity: usize,
    recursive: bool,
}

impl<'s> Rewriter<'_, 's> {
    /// A function can only recurse by calling itself from inside of its own text: what is defined
    /// later is unknown to it. So it is enough to look for calls of the functions that are open.
    fn def(&mut self, def: &mut Def<&'s str, Term<&'s str>>) {
        self.open.push(Open {
            name: def.name,
            arity: def.args.len(),
            recursive: false,
        });
        self.term(&mut def.body);
        if self.open.pop().is_some_and(|open| open.recursive) {
            let body = std::mem::take(&mut def.body);
            def.body = with_step(body);
        }
    }

    /// Notes a call, and says whether it is recursive.
    fn call(&mut self, name: &str, arity: usize) -> bool {
        let mut recursive = false;
        for open in &mut self.open {
            // An inner function of the same name may be meant; asking once too often is harmless.
            if open.name == name && open.arity == arity {
                open.recursive = true;
                recursive = true;
            }
        }
        recursive
    }

    fn term(&mut self, term: &mut Term<&'s str>) {
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) => {}
            Term::Var("$__loc__") => *term = self.location(term),
            Term::Var(_) => {}
            Term::Str(format, parts) => {
                if let Some(format) = format {
                    self.call(format, 0);
                }
                for part in parts {
                    if let StrPart::Term(term) = part {
                        self.term(term);
                    }
                }
            }
            Term::Arr(inner) => {
                if let Some(term) = inner {
                    self.term(term);
                    **term = through(std::mem::take(term), KEPT);
                }
            }
            Term::Obj(entries) => {
                for (key, value) in entries {
                    if matches!((&*key, &value), (Term::Var("$__loc__"), None)) {
                        *value = Some(self.location(key));
                        *key = Term::Str(None, vec![StrPart::Str("__loc__")]);
                        continue;
                    }
                    self.term(key);
                    value.iter_mut().for_each(|term| self.term(term));
                }
            }
            Term::Neg(inner) | Term::Label(_, inner) => self.term(inner),
            Term::BinOp(left, op, right) => {
                self.term(left);
                if let BinaryOp::Pipe(Some(pattern)) = op {
                    self.pattern(pattern);
                }
                self.term(right);
                *term = with_budget(std::mem::take(term));
            }
            Term::Fold(_, source, pattern, arguments) => {
                self.term(source);
                self.pattern(pattern);
                arguments.iter_mut().for_each(|term| self.term(term));
            }
            Term::TryCatch(body, catch) => {
                self.term(body);
                catch.iter_mut().for_each(|term| self.term(term));
            }
            Term::IfThenElse(branches, otherwise) => {
                for (condition, then) in branches {
                    self.term(condition);
                    self.term(then);
                }
                otherwise.iter_mut().for_each(|term| self.term(term));
            }
            Term::Def(defs, body) => {
                defs.iter_mut().for_each(|def| self.def(def));
                self.term(body);
            }
            Term::Call(name, arguments) => {
                let recursive = self.call(name, arguments.len());
                for argument in arguments {
                    self.term(argument);
                    if recursive {
                        // An argument that is passed on and on becomes a chain of calls.
                        *argument = with_step(std::mem::take(argument));
                    }
                }
            }
            Term::Path(base, path) => {
                self.term(base);
                for (part, _) in &mut path.0 {
                    match part {
                        Part::Index(index) => self.term(index),
                        Part::Range(from, to) => {
                            from.iter_mut().chain(to).for_each(|term| self.term(term));
                        }
                    }
                }
            }
        }
    }

    fn pattern(&mut self, pattern: &mut Pattern<&'s str>) {
        match pattern {
            Pattern::Var(_) => {}
            Pattern::Arr(inner) => inner.iter_mut().for_each(|pattern| self.pattern(pattern)),
            Pattern::Obj(entries) => {
                for (key, pattern) in entries {
                    self.term(key);
                    self.pattern(pattern);
                }
            }
        }
    }

    /// `{file, line}` as jq gives it for the main program.
    fn location(&self, variable: &Term<&'s str>) -> Term<&'s str> {
        let text = |text| Term::Str(None, vec![StrPart::Str(text)]);
        let line = match variable {
            Term::Var(found) => (self.line)(found),
            _ => "0",
        };
        Term::Obj(vec![
            (text("file"), Some(text("<top-level>"))),
            (text("line"), Some(Term::Num(line))),
        ])
    }
}

/// The same operation, which asks the budget if it can make something large.
fn with_budget(term: Term<&str>) -> Term<&str> {
    let Term::BinOp(left, op, right) = term else {
        return term;
    };
    let is_number = |term: &Term<&str>| matches!(term, Term::Num(_));
    match op {
        BinaryOp::Math(Math::Add | Math::Sub) if is_number(&left) || is_number(&right) => {
            Term::BinOp(left, op, right)
        }
        BinaryOp::Math(Math::Add | Math::Sub) => through(Term::BinOp(left, op, right), SUM),
        BinaryOp::Math(Math::Mul) => Term::Call(TIMES, vec![*left, *right]),
        // as the language defines it: `r as $x | l |= . + $x`
        BinaryOp::UpdateMath(op @ (Math::Add | Math::Sub | Math::Mul)) => {
            let added = Box::new(Term::Var(ADDED));
            let sum = with_budget(Term::BinOp(Box::default(), BinaryOp::Math(op), added));
            let update = Term::BinOp(left, BinaryOp::Update, Box::new(sum));
            let bind = BinaryOp::Pipe(Some(Pattern::Var(ADDED)));
            Term::BinOp(right, bind, Box::new(update))
        }
        op => Term::BinOp(left, op, right),
    }
}

/// What a term gives, through a function.
fn through<'s>(term: Term<&'s str>, function: &'s str) -> Term<&'s str> {
    let call = Term::Call(function, Vec::new());
    Term::BinOp(Box::new(term), BinaryOp::Pipe(None), Box::new(call))
}

/// The same, once the budget was asked. On the right of a pipe, tail calls stay tail calls.
fn with_step(term: Term<&str>) -> Term<&str> {
    let step = Term::Call(STEP, Vec::new());
    Term::BinOp(Box::new(step), BinaryOp::Pipe(None), Box::new(term))
}
