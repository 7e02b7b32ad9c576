//! Running a program with little first, and with all that it may take if that was not enough.

use std::fmt;
use std::thread;

use esm_core::transform::MaskingKey;
use esm_core::{Error, ErrorKind, Result};

use crate::budget::{Limits, MAX_INTEGER_BITS, Stop};
use crate::program::{Failure, Program};

/// The most outputs that a program may give for one input.
pub(crate) const MAX_OUTPUTS: usize = 1_000;

/// The most steps that a program may take for one input, if it is not given another number.
pub(crate) const MAX_STEPS: u64 = 1_000_000;

/// The most bytes of values that a program may make for one input, if it is not given another
/// number.
pub(crate) const MAX_MADE: u64 = 256 << 20;

/// What the program may take on the caller's stack, however small that is.
const SMALL: Limits = Limits {
    steps: 1_000,
    stack: 256 << 10,
    outputs: MAX_OUTPUTS,
    memory: MAX_MADE,
};

/// Stack of the thread on which it is tried again with all it may take. Memory is used only as far
/// as the stack grows.
const LARGE_STACK: usize = 256 << 20;

/// What a program may take for one input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) steps: u64,
    pub(crate) made: u64,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            steps: MAX_STEPS,
            made: MAX_MADE,
        }
    }
}

impl Allowance {
    /// Tries on the caller's stack, which is enough nearly always, then on a large one.
    ///
    /// A program is pure: to run it again changes nothing.
    pub(crate) fn run<T: Send>(
        self,
        attempt: impl Fn(&Limits) -> Result<T, Failure> + Sync,
    ) -> Result<T, Failure> {
        let small = Limits {
            memory: self.made,
            ..SMALL
        };
        match attempt(&small) {
            Err(Failure::Stopped(Stop::Steps | Stop::Stack)) => {
                let large = Limits {
                    steps: self.steps,
                    stack: LARGE_STACK / 8 * 7,
                    ..small
                };
                on_a_large_stack(|| attempt(&large))
                    .unwrap_or_else(|what| Err(Failure::Failed(what.to_string())))
            }
            result => result,
        }
    }

    /// Says why a run gave no result.
    pub(crate) fn message(self, failure: Failure) -> String {
        shorten(match failure {
            Failure::Failed(what) => what,
            Failure::Stopped(Stop::Steps) => {
                let steps = self.steps;
                format!("the program was stopped after {steps} steps: it may never end")
            }
            Failure::Stopped(Stop::Stack) => {
                "the program was stopped: it recurses too deeply".to_owned()
            }
            Failure::Stopped(Stop::Memory) => {
                let most = self.made;
                format!("the program was stopped: it makes values of more than {most} bytes")
            }
            Failure::Stopped(Stop::Integer) => format!(
                "the program was stopped: it makes an integer of more than {MAX_INTEGER_BITS} bits"
            ),
            Failure::TooManyOutputs => {
                format!("the program gives more than {MAX_OUTPUTS} outputs")
            }
            Failure::Panicked(what) => format!("the jq engine panicked: {what}"),
        })
    }
}

/// Compiles a program, with the key of its pseudonyms if there is one. A byte order mark at its start
/// is skipped.
///
/// # Errors
/// `Invalid`, showing each fault with its line, its column and the text there.
pub(crate) fn compile(name: &str, program: &str, key: Option<&MaskingKey>) -> Result<Program> {
    // The compiler recurses, and the caller's stack may be small.
    on_a_large_stack(|| Program::compile(name, without_mark(program), key)).map_err(|what| {
        let message = format!("{name}: the program cannot be compiled: {what}");
        match what {
            Unfinished::NoThread(_) => Error::new(ErrorKind::Unavailable, message)
                .with_hint("a thread needs 256 MiB of address space: raise the limit of memory"),
            Unfinished::Panicked => Error::invalid(message),
        }
    })?
}

/// The program without a byte order mark, which editors put there unseen.
pub(crate) fn without_mark(program: &str) -> &str {
    program.strip_prefix('\u{feff}').unwrap_or(program)
}

/// The values that stand in messages can be whole events.
fn shorten(mut message: String) -> String {
    const LONGEST: usize = 500;
    if message.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| message.is_char_boundary(*at));
        message.truncate(end.unwrap_or_default());
        message.push('…');
    }
    message
}

/// Why a function on a thread of its own returned nothing.
#[derive(Debug)]
enum Unfinished {
    NoThread(std::io::Error),
    Panicked,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoThread(cause) => write!(f, "no thread could be started: {cause}"),
            Self::Panicked => f.write_str("the jq engine panicked"),
        }
    }
}

/// Runs a function on a thread of its own with a large stack, and waits for it.
fn on_a_large_stack<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T, Unfinished> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("esm-jq".to_owned())
            .stack_size(LARGE_STACK)
            .spawn_scoped(scope, f)
            .map_err(Unfinished::NoThread)?
            .join()
            .map_err(|_| Unfinished::Panicked)
    })
}
