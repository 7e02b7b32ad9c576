//! Names: variables, functions that the program defines, and those that the language has.

use jaq_core::load::parse::{Def, Term};

use super::lowerer::Lowerer;
use super::scope::{Meaning, Name, Scope};
use crate::diagnostic::{self, Fault};
use crate::ir::{Binding, CONTROLS, Call, Control, Id, Op, Pattern};
use crate::natives;
use crate::prelude;
use crate::syntax;
use crate::value::{Map, Val};

impl<'s> Lowerer<'s, '_> {
    pub(super) fn variable(&mut self, name: &'s str, scope: &Scope<'s>) -> Id {
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

    pub(super) fn define(&mut self, def: &Def<&'s str, Term<&'s str>>, scope: &mut Scope<'s>) {
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

    pub(super) fn call(
        &mut self,
        name: &'s str,
        arguments: &[Term<&'s str>],
        scope: &mut Scope<'s>,
    ) -> Id {
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
            ("pseudonym", 0) => return self.pseudonym(name),
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

    /// The function that makes pseudonyms, which needs a key.
    fn pseudonym(&mut self, name: &'s str) -> Id {
        let Some(key) = self.key.cloned() else {
            let fault = Fault::new(name, "`pseudonym` needs a masking key, and none is given")
                .with_hint("name the file with the key: `--masking-key FILE`");
            self.faults.push(fault);
            return self.add(Op::Identity, true);
        };
        self.masks = true;
        self.add(Op::Pseudonym(key), true)
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
