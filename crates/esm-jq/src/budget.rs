//! What bounds a run of a program: steps, stack and memory.
//!
//! A stop is not an error of the language, so that no `try` of the program can catch it and make the
//! output depend on it.

use std::cell::Cell;

use crate::fail::Exit;

/// Most bits of an integer that a program makes: 4,932 digits. Writing one in digits takes time that
/// grows with the square of its size.
pub(crate) const MAX_INTEGER_BITS: u64 = 16_384;

/// Pairs of 64-bit words that are multiplied in the time of a step.
const WORDS_PER_STEP: u64 = 256;

/// Why a run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It took all its steps: calls of recursive functions, and numbers of `range`.
    Steps,
    /// Its recursion used up its stack.
    Stack,
    /// It made more than it may.
    Memory,
    /// It made an integer of more bits than it may.
    Integer,
}

/// What a run may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) steps: u64,
    /// In bytes, for recursion. A value that is nested by each step takes more when it is dropped.
    pub(crate) stack: usize,
    pub(crate) outputs: usize,
    /// In bytes: what it may make, whether it keeps it or not.
    pub(crate) memory: u64,
}

/// The budget of one run.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: Cell<u64>,
    memory: Cell<u64>,
    stack_start: usize,
    stack_bytes: usize,
    stop: Cell<Option<Stop>>,
}

impl Budget {
    /// A budget of these limits; the stack is counted from the caller's frame.
    #[inline(never)]
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            steps: Cell::new(limits.steps),
            memory: Cell::new(limits.memory),
            stack_start: stack_address(),
            stack_bytes: limits.stack,
            stop: Cell::new(None),
        }
    }

    /// Why the run was stopped, if it was. Whatever it gave out by then is void.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.stop.get()
    }

    /// Counts a step.
    pub(crate) fn step(&self) -> Result<(), Exit> {
        match self.steps.get().checked_sub(1) {
            None => Err(self.stop(Stop::Steps)),
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
        }
    }

    /// Measures the stack.
    pub(crate) fn stack(&self) -> Result<(), Exit> {
        if self.stack_start.abs_diff(stack_address()) <= self.stack_bytes {
            Ok(())
        } else {
            Err(self.stop(Stop::Stack))
        }
    }

    /// Bytes that may still be made.
    pub(crate) fn memory_left(&self) -> usize {
        usize::try_from(self.memory.get()).unwrap_or(usize::MAX)
    }

    /// Counts bytes that are about to be made, or were.
    pub(crate) fn make(&self, bytes: u64) -> Result<(), Exit> {
        match self.memory.get().checked_sub(bytes) {
            Some(left) => {
                self.memory.set(left);
                Ok(())
            }
            None => Err(self.stop(Stop::Memory)),
        }
    }

    /// Counts an integer of so many bits that is about to be made, or was, from so many pairs of
    /// words.
    pub(crate) fn integer(&self, bits: u64, words: u64) -> Result<(), Exit> {
        let left = self.steps.get().checked_sub(words / WORDS_PER_STEP);
        match left {
            Some(left) if bits <= MAX_INTEGER_BITS => {
                self.steps.set(left);
                Ok(())
            }
            _ => {
                let too_large = bits > MAX_INTEGER_BITS;
                Err(self.stop(if too_large {
                    Stop::Integer
                } else {
                    Stop::Steps
                }))
            }
        }
    }

    fn stop(&self, stop: Stop) -> Exit {
        self.stop.set(self.stop.get().or(Some(stop)));
        Exit::Stop
    }
}

#[inline(never)]
fn stack_address() -> usize {
    let marker = 0_u8;
    std::hint::black_box(&raw const marker) as usize
}
