//! Compiling and running a program.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use esm_core::transform::{MaskingKey, Masks};
use esm_core::{Error, Result};
use jaq_core::load::lex::{Expect, Lexer, Tok, Token};
use jaq_core::load::parse::{Parser, Term};

use crate::budget::{Budget, Limits, Stop};
use crate::diagnostic::{self, Fault};
use crate::fail::{Exit, Fail};
use crate::ir::Code;
use crate::lower::lower;
use crate::machine::Machine;
use crate::masks;
use crate::meaning;
use crate::reach;
use crate::retired;
use crate::syntax;
use crate::value::Val;
use crate::versions::{self, VersionTest};

/// The most bytes that a program may have.
const MAX_BYTES: usize = 1 << 20;

/// The most brackets, parentheses and braces that may stand open in a program.
const MAX_NESTING: usize = 200;

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
    text: String,
    code: Code,
    /// The id of the key that it makes pseudonyms with, if it makes any.
    pub(crate) key_id: Option<String>,
    /// The version of what it means.
    pub(crate) meaning: u32,
    /// The types besides which it leaves every event as it is; `None` if they are unknown.
    pub(crate) types: Option<BTreeSet<String>>,
    /// The types and schema versions that it certainly changes or drops, as far as its text shows.
    pub(crate) retired: BTreeSet<(String, u64)>,
    /// How it masks values.
    pub(crate) masks: Masks,
    /// What it compares `.schemaversion` with.
    pub(crate) versions: Vec<VersionTest>,
}

impl Program {
    /// Compiles a program that errors call by this name.
    ///
    /// # Errors
    /// `Invalid`, showing each fault with its line and column.
    pub(crate) fn compile(name: &str, code: &str, key: Option<&MaskingKey>) -> Result<Self> {
        check_size(name, code)?;
        compile(code, key).map_err(|faults| diagnostic::error(name, code, &faults))
    }

    /// Runs the program on a value and gives all its outputs.
    pub(crate) fn run(&self, input: Val, limits: &Limits) -> Result<Vec<Val>, Failure> {
        let budget = Budget::new(limits);
        caught(|| self.outputs(&budget, input, limits.outputs))
    }

    fn outputs(&self, budget: &Budget, input: Val, max: usize) -> Result<Vec<Val>, Failure> {
        let mut outputs = Vec::new();
        let mut too_many = false;
        let flow = Machine::new(&self.code, budget).run(input, &mut |output| {
            if outputs.len() == max {
                too_many = true;
                return Err(Exit::Stop);
            }
            outputs.push(output);
            Ok(())
        });
        match (flow, budget.stopped()) {
            (_, Some(stop)) => Err(Failure::Stopped(stop)),
            (Err(_), None) if too_many => Err(Failure::TooManyOutputs),
            (Err(Exit::Fail(fail)), None) => Err(Failure::Failed(self.message(&fail))),
            (Err(_), None) => Err(Failure::Failed("it broke out of no loop".to_owned())),
            (Ok(()), None) => Ok(outputs),
        }
    }

    fn message(&self, fail: &Fail) -> String {
        let message = fail.message();
        match fail.place().and_then(|at| self.text.get(at..)) {
            Some(found) => {
                let (line, column) = diagnostic::line_and_column(&self.text, found);
                format!("{message} (line {line}, column {column})")
            }
            None => message,
        }
    }
}

/// A panic is a failure like others. What it may have left half done is dropped here.
fn caught<T>(run: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(Failure::Panicked(panic_message(&*panic))))
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

fn compile<'s>(code: &'s str, key: Option<&MaskingKey>) -> Result<Program, Vec<Fault<'s>>> {
    let body = parse(code)?;
    let lowered = lower(code, &body, key)?;
    Ok(Program {
        text: code.to_owned(),
        key_id: key.filter(|_| lowered.masks).map(|key| key.id().to_owned()),
        code: lowered,
        meaning: meaning::version(&body),
        types: reach::types(&body),
        retired: retired::schemas(&body),
        masks: masks::masks(&body),
        versions: versions::tests(&body),
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
    let tokens = syntax::rewrite(code, tokens);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_engine_is_an_error() {
        let failure = caught::<()>(|| panic!("no such place")).unwrap_err();
        assert!(matches!(failure, Failure::Panicked(what) if what == "no such place"));
    }
}
