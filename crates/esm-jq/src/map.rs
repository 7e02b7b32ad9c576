//! Maps records of any form to events.

use std::fmt;

use bytes::Bytes;
use esm_core::{Error, Result};

use crate::attempts::{self, Allowance};
use crate::budget::Limits;
use crate::mapped::{self, MappedEvent};
use crate::program::{Failure, Program};
use crate::value::{MAX_DEPTH, ReadFault, read};

/// Makes events of records with a jq program.
///
/// A record is any JSON value: a row of a table, a line of an export. The program runs once for
/// each record. An output is a CloudEvents JSON object, with these differences:
///
/// - `object` names the object as `name/key`. Without it, `source` is the name and `subject` the key.
/// - `specversion` may be absent.
/// - `id` may be an integer, which becomes its digits.
/// - `time` may have the form in which PostgreSQL writes a `timestamptz`: `2026-01-02 03:04:05+00`.
/// - `metadata` is an object whose fields become metadata of the event. Those that metadata cannot
///   have (nested values, fractions, `null`, keys that are taken or of another form) become one JSON
///   text, under the key `metadata`: nothing is lost.
///
/// # Guarantees
/// 1. Equal programs give equal events for equal records, on every machine.
/// 2. Numbers that the program does not calculate with keep every digit.
/// 3. A program that loops, recurses too deeply or floods is stopped with an error.
///
/// # Limits
/// Those of [`JqTransformer`](crate::JqTransformer).
pub struct JqMap {
    name: String,
    program: Program,
}

impl JqMap {
    /// Compiles a program. Messages call it by `name`.
    ///
    /// # Errors
    /// `Invalid`, showing each fault with its line, its column and the text there.
    pub fn compile(name: &str, program: &str) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            program: attempts::compile(name, program, None)?,
        })
    }

    /// Returns the events that the program makes of a record, in the order of its outputs.
    ///
    /// # Errors
    /// `Invalid` for a record that is no JSON, a program that fails on it, and an output that is no
    /// event, naming the field.
    pub fn map(&self, record: &Bytes) -> Result<Vec<MappedEvent>> {
        let allowance = Allowance::default();
        allowance
            .run(|limits| self.attempt(record, limits))
            .map_err(|failure| {
                let what = allowance.message(failure);
                Error::invalid(format!("map {}: {what}", self.name))
            })
    }

    fn attempt(&self, record: &Bytes, limits: &Limits) -> Result<Vec<MappedEvent>, Failure> {
        let input = read(record).map_err(|fault| Failure::Failed(not_read(record, fault)))?;
        let outputs = self.program.run(input, limits)?;
        let events = outputs.iter().enumerate().map(|(at, output)| {
            mapped::event(output).map_err(|what| {
                let (number, count) = (at + 1, outputs.len());
                Failure::Failed(format!("output {number} of {count} is no event: {what}"))
            })
        });
        events.collect()
    }
}

fn not_read(record: &[u8], fault: ReadFault) -> String {
    match fault {
        ReadFault::TooDeep => format!("the record is nested deeper than {MAX_DEPTH} levels"),
        ReadFault::NotJson(at) => {
            let before = &record[..at];
            let line = before.iter().filter(|byte| **byte == b'\n').count();
            let begin = before.iter().rposition(|byte| *byte == b'\n');
            let column = at - begin.map_or(0, |begin| begin + 1) + 1;
            match line {
                0 => format!("the record is not JSON, at column {column}"),
                _ => format!(
                    "the record is not JSON, at column {column} of its line {}",
                    line + 1
                ),
            }
        }
    }
}

impl fmt::Debug for JqMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JqMap")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
