//! Compiling and running a program.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use esm_core::{Error, Result};
use jaq_core::compile::{Compiler, Undefined};
use jaq_core::load::lex::{Expect, Lexer, Tok, Token};
use jaq_core::load::parse::{Def, Parser, Term};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Ctx, Exn, Filter, Vars};
use jaq_json::Val;

use crate::budget::{Budget, Limits, Stop};
use crate::diagnostic::{self, Fault};
use crate::engine::{Engine, Run};
use crate::message::without_values;
use crate::prelude;
use crate::reach;
use crate::retired;
use crate::rewrite;

/// The most bytes that a program may have.
const MAX_BYTES: usize = 1 << 20;

/// The most brackets, parentheses and braces that may stand open in a program.
const MAX_NESTING: usize = 200;

/// The name under which the user's program is compiled, after the functions of the prelude.
const MAIN: &str = "__esm_program";

/// Why a run gave no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The program failed on this value.
    Failed(String),
    /// It was stopped.
    Stopped(Stop),
    /// It gave more outputs than it may.
    TooManyOutputs,
    /// The engine panicked.
    Panicked(String),
}

/// A compiled program.
pub(crate) struct Program {
    filter: Filter<Engine>,
    /// The types besides which it leaves every event as it is; `None` if they are unknown.
    pub(crate) types: Option<BTreeSet<String>>,
    /// The types and schema versions that it certainly changes or drops, as far as its text shows.
    pub(crate) retired: BTreeSet<(String, u64)>,
}

impl Program {
    /// Compiles a program that errors call by this name.
    ///
    /// # Errors
    /// `Invalid`, showing each fault with its line and column.
    pub(crate) fn compile(name: &str, code: &str) -> Result<Self> {
        check_size(name, code)?;
        compile(code).map_err(|faults| diagnostic::error(name, code, &faults))
    }

    /// Runs the program on a value and gives all its outputs.
    pub(crate) fn run(&self, input: Val, limits: &Limits) -> Result<Vec<Val>, Failure> {
        let run = Run::new(&self.filter.lut, Budget::new(limits));
        // What the panic may have left half done is dropped here.
        catch_unwind(AssertUnwindSafe(|| {
            self.outputs(&run, input, limits.outputs)
        }))
        .unwrap_or_else(|panic| Err(Failure::Panicked(panic_message(&*panic))))
    }

    fn outputs(&self, run: &Run<'_>, input: Val, max: usize) -> Result<Vec<Val>, Failure> {
        let mut outputs = Vec::new();
        for output in self
            .filter
            .id
            .run::<Engine>((Ctx::new(run, Vars::new([])), input))
        {
            let output = output.map_err(|exception| failure(run, exception))?;
            if outputs.len() == max {
                return Err(Failure::TooManyOutputs);
            }
            outputs.push(output);
        }
        match run.budget.stopped() {
            Some(stop) => Err(Failure::Stopped(stop)),
            None => Ok(outputs),
        }
    }
}

fn failure(run: &Run<'_>, exception: Exn<'_, Val>) -> Failure {
    match (run.budget.stopped(), exception.get_err()) {
        (Some(stop), _) => Failure::Stopped(stop),
        (None, Ok(error)) => Failure::Failed(without_values(match error.into_val() {
            Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
            other => other.to_string(),
        })),
        (None, Err(_)) => Failure::Failed("it broke out of no loop".to_owned()),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

/// The parser recurses: refuses what would take too much stack.
fn check_size(name: &str, code: &str) -> Result<()> {
    if code.len() > MAX_BYTES {
        return Err(Error::invalid(format!(
            "{name}: the program is too long: {} bytes of at most {MAX_BYTES}",
            code.len()
        )));
    }
    let mut open = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_NESTING {
            let what = format!("more than {MAX_NESTING} brackets are open");
            let fault = Fault::new(&code[at..=at], what);
            return Err(diagnostic::error(name, code, &[fault]));
        }
    }
    Ok(())
}

fn compile(code: &str) -> Result<Program, Vec<Fault<'_>>> {
    let arena = Arena::default();
    let body = parse(code)?;
    let types = reach::types(&body);
    let retired = retired::schemas(&body);
    let mut defs: Vec<Def<&str>> = prelude::defs().collect();
    defs.push(Def {
        name: MAIN,
        args: Vec::new(),
        body,
    });
    let line = |found: &str| -> &str { arena.alloc(diagnostic::line(code, found).to_string()) };
    defs.iter_mut().for_each(|def| rewrite::def(def, &line));
    let main = File {
        code: MAIN,
        path: (),
    };
    let modules = Loader::new(defs).load(&arena, main).map_err(|errors| {
        vec![Fault::new(
            "",
            format!("the prelude does not load: {errors:?}"),
        )]
    })?;
    Compiler::default()
        .with_funs(prelude::funs())
        .compile(modules)
        .map(|filter| Program {
            filter,
            types,
            retired,
        })
        .map_err(|errors| {
            let errors = errors.into_iter().flat_map(|(_, errors)| errors);
            errors
                // They may borrow from the arena, which ends here.
                .map(|(found, what)| undefined(within(code, found), &what))
                .collect()
        })
}

fn parse(code: &str) -> Result<Term<&str>, Vec<Fault<'_>>> {
    let tokens = Lexer::new(code)
        .lex()
        .map_err(|errors| errors.into_iter().map(not_lexed).collect::<Vec<_>>())?;
    if tokens.is_empty() {
        let fault = Fault::new(&code[code.len()..], "the program is empty")
            .with_hint("write `.` to keep every event as it is");
        return Err(vec![fault]);
    }
    if let [
        Token(word, Tok::Word),
        Token(_, Tok::Str(_) | Tok::Block(_)),
        ..,
    ] = &tokens[..]
        && ["import", "include", "module"].contains(word)
    {
        let fault = Fault::new(word, format!("modules are not available: {word}")).with_hint(
            "write all functions into the program: its fingerprint covers its text only",
        );
        return Err(vec![fault]);
    }
    Parser::new(&tokens).parse(|p| p.term()).map_err(|errors| {
        let end = &code[code.len()..];
        let fault =
            |(expected, token): (jaq_core::load::parse::Expect<&str>, Option<&Token<_>>)| {
                let found = token.map_or(end, |token: &Token<&str>| token.0);
                let expected = match expected {
                    jaq_core::load::parse::Expect::Just(token) => format!("`{token}`"),
                    jaq_core::load::parse::Expect::Nothing => "the end of the program".to_owned(),
                    other => format!("a {}", other.as_str()),
                };
                Fault::new(
                    found,
                    format!("expected {expected}, found {}", quoted(found)),
                )
            };
        errors.into_iter().map(fault).collect()
    })
}

fn not_lexed<'s>((expected, found): (Expect<&'s str>, &'s str)) -> Fault<'s> {
    let next = &found[..found.chars().next().map_or(0, char::len_utf8)];
    match expected {
        Expect::Delim(open) => {
            let open = &open[..open.chars().next().map_or(0, char::len_utf8)];
            let what = format!("`{open}` is not closed, found {}", quoted(next));
            Fault::new(open, what)
        }
        other => Fault::new(
            next,
            format!("expected a {}, found {}", other.as_str(), quoted(next)),
        ),
    }
}

fn quoted(found: &str) -> String {
    match found.lines().next() {
        None => "the end of the program".to_owned(),
        Some(line) if line.chars().count() > 30 => {
            format!("`{}…`", line.chars().take(30).collect::<String>())
        }
        Some(line) => format!("`{line}`"),
    }
}

fn undefined<'s>(found: &'s str, what: &Undefined) -> Fault<'s> {
    if let Some(reason) = prelude::absent(found) {
        return Fault::new(found, format!("not available in a transformation: {found}"))
            .with_hint(format!("`{found}` is left out: {reason}"));
    }
    let arity = |name: &str, given: usize, right: &str| {
        format!("`{name}` takes {right} arguments, not {given}")
    };
    Fault::new(
        found,
        match (found, what) {
            ("reduce", Undefined::Filter(given)) => arity(found, *given, "2"),
            ("foreach", Undefined::Filter(given)) => arity(found, *given, "2 or 3"),
            (_, Undefined::Filter(arity)) => format!("undefined function: {found}/{arity}"),
            (_, other) => format!("undefined {}: {found}", other.as_str()),
        },
    )
}

/// The part of the program that `found` is; its end if it is none.
fn within<'s>(code: &'s str, found: &str) -> &'s str {
    (found.as_ptr() as usize)
        .checked_sub(code.as_ptr() as usize)
        .and_then(|start| code.get(start..start + found.len()))
        .unwrap_or(&code[code.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_engine_is_an_error() {
        let limits = Limits {
            steps: 1_000,
            stack: 256 << 10,
            outputs: 1,
            memory: u64::MAX,
        };
        // more bytes than the address space has
        let program = Program::compile("x", "\"abc\" * 9000000000000000000").unwrap();
        let failure = program.run(Val::Null, &limits).unwrap_err();
        assert!(matches!(failure, Failure::Panicked(_)), "{failure:?}");
    }
}
