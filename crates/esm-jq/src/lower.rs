//! From the syntax tree to what the machine runs: names become places.

use std::collections::HashMap;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern as Tree, Term};
use jaq_core::ops::Math as Operator;
use jaq_core::path::{Opt, Part};

use crate::diagnostic::{self, Fault};
use crate::ir::{Binding, CONTROLS, Call, Code, Control, Id, Node, Op, Pattern, Piece};
use crate::natives::{self, Format};
use crate::prelude;
use crate::syntax;
use crate::value::{Map, Math, Val, read_number};

/// Compiles a syntax tree.
///
/// # Errors
/// Names that mean nothing, and what the program says that cannot be run.
pub(crate) fn lower<'s>(code: &'s str, body: &Term<&'s str>) -> Result<Code, Vec<Fault<'s>>> {
    let mut lowerer = Lowerer {
        code,
        nodes: Vec::new(),
        bodies: Vec::new(),
        done: Vec::new(),
        open: Vec::new(),
        prelude: HashMap::new(),
        faults: Vec::new(),
    };
    let main = lowerer.term(body, &mut Scope::default());
    if lowerer.faults.is_empty() {
        Ok(Code {
            nodes: lowerer.nodes,
            bodies: lowerer.bodies,
            main,
        })
    } else {
        Err(lowerer.faults)
    }
}

struct Lowerer<'s> {
    code: &'s str,
    nodes: Vec<Node>,
    bodies: Vec<Id>,
    /// Whether the body of a function is known.
    done: Vec<bool>,
    /// The functions that the current place is inside of.
    open: Vec<usize>,
    /// Functions of the prelude that were compiled, with their numbers.
    prelude: HashMap<(&'static str, usize), usize>,
    faults: Vec<Fault<'s>>,
}

/// What names mean at a place, innermost last.
#[derive(Default)]
struct Scope<'s> {
    names: Vec<Name<'s>>,
    /// How many of them have a frame.
    frames: usize,
}

enum Name<'s> {
    Variable(&'s str),
    Argument(&'s str),
    Label(&'s str),
    /// Name, number of arguments, its number, and how many frames there are where it is defined.
    Function(&'s str, usize, usize, usize),
}

/// What a call means.
enum Meaning {
    Argument(usize),
    Function(usize, usize),
}

impl<'s> Scope<'s> {
    fn push(&mut self, name: Name<'s>) {
        self.frames += usize::from(!matches!(name, Name::Function(..)));
        self.names.push(name);
    }

    fn cut(&mut self, length: usize) {
        while self.names.len() > length {
            let name = self.names.pop();
            self.frames -= usize::from(!matches!(name, None | Some(Name::Function(..))));
        }
    }

    /// How many frames outwards the first name is that is looked for.
    fn outwards(&self, is: impl Fn(&Name<'s>) -> bool) -> Option<usize> {
        let mut frames = 0;
        for name in self.names.iter().rev() {
            if is(name) {
                return Some(frames);
            }
            frames += usize::from(!matches!(name, Name::Function(..)));
        }
        None
    }

    fn variable(&self, name: &str) -> Option<usize> {
        self.outwards(|known| matches!(known, Name::Variable(known) if *known == name))
    }

    fn call(&self, name: &str, arity: usize) -> Option<Meaning> {
        let mut frames = 0;
        for known in self.names.iter().rev() {
            match known {
                Name::Argument(known) if arity == 0 && *known == name => {
                    return Some(Meaning::Argument(frames));
                }
                // `def f($a)` makes a function `a` too
                Name::Argument(known) if arity == 0 && known.strip_prefix('$') == Some(name) => {
                    return Some(Meaning::Argument(frames));
                }
                Name::Function(known, takes, number, level)
                    if *known == name && *takes == arity =>
                {
                    return Some(Meaning::Function(*number, self.frames - level));
                }
                _ => {}
            }
            frames += usize::from(!matches!(known, Name::Function(..)));
        }
        None
    }
}

impl<'s> Lowerer<'s> {
    fn add(&mut self, op: Op, single: bool) -> Id {
        self.nodes.push(Node {
            op,
            single,
            at: None,
        });
        (self.nodes.len() - 1) as Id
    }

    fn single(&self, id: Id) -> bool {
        self.nodes[id as usize].single
    }

    fn all_single(&self, ids: &[Id]) -> bool {
        ids.iter().all(|id| self.single(*id))
    }

    fn constant(&mut self, value: Val) -> Id {
        self.add(Op::Const(value), true)
    }

    fn fault(&mut self, found: &'s str, what: impl Into<String>) -> Id {
        self.faults.push(Fault::new(found, what));
        self.add(Op::Identity, true)
    }

    fn term(&mut self, term: &Term<&'s str>, scope: &mut Scope<'s>) -> Id {
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

    /// Variables that are bound to what a source gives; they are in the scope afterwards.
    fn binding(
        &mut self,
        source: &Term<&'s str>,
        pattern: &Tree<&'s str>,
        scope: &mut Scope<'s>,
    ) -> Binding {
        let source = self.term(source, scope);
        let mut names: Vec<&'s str> = Vec::new();
        let alternatives = syntax::alternatives(pattern);
        let patterns = alternatives
            .iter()
            .map(|pattern| self.pattern(pattern, &mut names, scope))
            .collect();
        let variables = names.len();
        for name in names {
            scope.push(Name::Variable(name));
        }
        Binding {
            source,
            patterns,
            variables,
        }
    }

    fn pattern(
        &mut self,
        pattern: &Tree<&'s str>,
        names: &mut Vec<&'s str>,
        scope: &mut Scope<'s>,
    ) -> Pattern {
        match pattern {
            Tree::Var(name) => {
                let known = names.iter().position(|known| known == name);
                Pattern::Var(known.unwrap_or_else(|| {
                    names.push(name);
                    names.len() - 1
                }))
            }
            Tree::Arr(inner) => Pattern::Array(
                inner
                    .iter()
                    .map(|inner| self.pattern(inner, names, scope))
                    .collect(),
            ),
            Tree::Obj(entries) => Pattern::Object(
                entries
                    .iter()
                    .map(|(key, inner)| {
                        let key = self.term(key, scope);
                        (key, self.pattern(inner, names, scope))
                    })
                    .collect(),
            ),
        }
    }

    fn variable(&mut self, name: &'s str, scope: &Scope<'s>) -> Id {
        if let Some(outwards) = scope.variable(name) {
            return self.add(Op::Var(outwards), true);
        }
        if name == "$__loc__" {
            let mut map = Map::default();
            map.insert("file".into(), "<top-level>".into());
            let line = diagnostic::line(self.code, name) as i64;
            map.insert("line".into(), Val::int(line));
            return self.constant(Val::obj(map));
        }
        self.undefined(name, format!("undefined variable: {name}"))
    }

    fn undefined(&mut self, name: &'s str, what: String) -> Id {
        let fault = match prelude::absent(name) {
            Some(reason) => Fault::new(name, format!("not available in a transformation: {name}"))
                .with_hint(format!("`{name}` is left out: {reason}")),
            None => Fault::new(name, what),
        };
        self.faults.push(fault);
        self.add(Op::Identity, true)
    }

    fn define(&mut self, def: &Def<&'s str, Term<&'s str>>, scope: &mut Scope<'s>) {
        let number = self.bodies.len();
        self.bodies.push(0);
        self.done.push(false);
        let level = scope.frames;
        scope.push(Name::Function(def.name, def.args.len(), number, level));
        let length = scope.names.len();
        for argument in &def.args {
            scope.push(Name::Argument(argument));
        }
        self.open.push(number);
        let body = self.body(def, 0, scope);
        self.open.pop();
        scope.cut(length);
        self.bodies[number] = body;
        self.done[number] = true;
    }

    /// The body of a function, with a variable for each argument whose name begins with `$`.
    fn body(
        &mut self,
        def: &Def<&'s str, Term<&'s str>>,
        bound: usize,
        scope: &mut Scope<'s>,
    ) -> Id {
        let mut values = def.args.iter().filter(|name| name.starts_with('$'));
        let Some(name) = values.nth(bound) else {
            return self.term(&def.body, scope);
        };
        let Some(outwards) =
            scope.outwards(|known| matches!(known, Name::Argument(known) if known == name))
        else {
            return self.term(&def.body, scope);
        };
        let source = self.add(Op::Argument(outwards), false);
        scope.push(Name::Variable(name));
        let body = self.body(def, bound + 1, scope);
        let binding = Binding {
            source,
            patterns: vec![Pattern::Var(0)],
            variables: 1,
        };
        self.add(Op::Bind(binding, body), false)
    }

    fn call(&mut self, name: &'s str, arguments: &[Term<&'s str>], scope: &mut Scope<'s>) -> Id {
        if let Some((module, _)) = name.split_once("::") {
            return self.fault(module, format!("undefined module: {module}"));
        }
        let arity = arguments.len();
        let meaning = scope.call(name, arity);
        let lowered: Vec<Id> = arguments.iter().map(|a| self.term(a, scope)).collect();
        match meaning {
            Some(Meaning::Argument(outwards)) => self.add(Op::Argument(outwards), false),
            Some(Meaning::Function(number, outwards)) => self.apply(number, outwards, lowered),
            None => self.known(name, lowered, arguments, scope.frames),
        }
    }

    fn apply(&mut self, function: usize, outwards: usize, arguments: Vec<Id>) -> Id {
        let single = self.done[function] && self.single(self.bodies[function]);
        let call = Call {
            function,
            outwards,
            arguments,
            recursive: self.open.contains(&function),
        };
        self.add(Op::Call(call), single)
    }

    /// A function that the language has.
    fn known(
        &mut self,
        name: &'s str,
        lowered: Vec<Id>,
        arguments: &[Term<&'s str>],
        frames: usize,
    ) -> Id {
        let arity = lowered.len();
        match (name, arity) {
            ("true", 0) => return self.constant(true.into()),
            ("false", 0) => return self.constant(false.into()),
            ("null", 0) => return self.constant(Val::Null),
            _ => {}
        }
        if let Some((_, _, control)) = CONTROLS.iter().find(|(n, a, _)| *n == name && *a == arity) {
            let single = matches!(control, Control::IsEmpty | Control::Any | Control::All);
            let single = single || *control == Control::Add;
            return self.add(Op::Control(*control, lowered), single);
        }
        if let Some(native) = natives::find(name, arity) {
            self.check_pattern(name, arguments);
            let single = self.all_single(&lowered);
            return self.add(Op::Native(native, lowered), single);
        }
        if let Some(number) = self.of_prelude(name, arity) {
            self.check_pattern(name, arguments);
            return self.apply(number, frames, lowered);
        }
        self.undefined(name, format!("undefined function: {name}/{arity}"))
    }

    /// A regular expression that the program spells out is compiled with the program.
    fn check_pattern(&mut self, name: &str, arguments: &[Term<&'s str>]) {
        let takes = ["test", "match", "capture", "scan", "splits", "sub", "gsub"];
        let splits = name == "split" && arguments.len() == 2;
        if !splits && !takes.contains(&name) {
            return;
        }
        let Some(pattern) = arguments.first() else {
            return;
        };
        let Some(text) = syntax::literal(pattern) else {
            return;
        };
        if let Err(what) = natives::check_regex(&text) {
            let found = syntax::place(pattern).unwrap_or(self.code);
            self.fault(found, what);
        }
    }

    /// A function of the prelude, which is compiled when it is first called.
    fn of_prelude(&mut self, name: &str, arity: usize) -> Option<usize> {
        let def = prelude::find(name, arity)?;
        if let Some(number) = self.prelude.get(&(def.name, arity)) {
            return Some(*number);
        }
        let number = self.bodies.len();
        self.prelude.insert((def.name, arity), number);
        let mut scope = Scope::default();
        self.define(def, &mut scope);
        Some(number)
    }
}

/// Whether a binding gives exactly one set of values.
fn plain(binding: &Binding) -> bool {
    binding.patterns.len() == 1 && !has_keys(&binding.patterns[0])
}

/// Whether keys of a pattern are calculated.
fn has_keys(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::Var(_) => false,
        Pattern::Array(inner) => inner.iter().any(has_keys),
        Pattern::Object(_) => true,
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

/// Where a part of the program is in it; `None` if it is of the prelude.
fn offset(code: &str, found: &str) -> Option<u32> {
    let at = (found.as_ptr() as usize).checked_sub(code.as_ptr() as usize)?;
    (at < code.len()).then_some(at as u32)
}
