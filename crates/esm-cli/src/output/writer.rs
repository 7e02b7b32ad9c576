//! Standard output and standard error.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use esm_core::{Error, Result};
use serde::Serialize;

use super::failure::ErrorReport;
use super::table::Table;
use crate::exit::{self, Exit};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Tables on a terminal, tab-separated lines elsewhere.
    Text,
    /// One JSON document on standard output; an error is one on standard error.
    Json,
}

/// Where results, notes and errors go.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    format: OutputFormat,
    terminal: bool,
}

impl Output {
    /// Prints in this format.
    pub(crate) fn new(format: OutputFormat) -> Self {
        Self {
            format,
            terminal: std::io::stdout().is_terminal(),
        }
    }

    /// Whether programs read the output.
    pub(crate) fn is_json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Prints a result: as JSON, or as the text that is made for people.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn result<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T, bool) -> String,
    ) -> Result<()> {
        let text = match (self.format, self.terminal) {
            (OutputFormat::Text, terminal) => text(value, terminal),
            (OutputFormat::Json, true) => {
                serde_json::to_string_pretty(value).map_err(unwritable)?
            }
            (OutputFormat::Json, false) => serde_json::to_string(value).map_err(unwritable)?,
        };
        self.lines(&text)
    }

    /// Prints a JSON document in a line of its own, for results that come one after another.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn json_line<T: Serialize>(&self, value: &T) -> Result<()> {
        self.lines(&serde_json::to_string(value).map_err(unwritable)?)
    }

    /// Prints rows; where lines follow those of another table, without the heading again.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn table(&self, table: &Table, first: bool) -> Result<()> {
        let text = table.to_text(self.terminal);
        match first || self.terminal {
            true => self.lines(&text),
            false => self.lines(text.split_once('\n').map_or("", |(_, rows)| rows)),
        }
    }

    /// A number in a table: grouped for people, plain where programs cut columns.
    pub(crate) fn number(&self, number: u64, grouped: fn(u64) -> String) -> String {
        match self.terminal {
            true => grouped(number),
            false => number.to_string(),
        }
    }

    /// Prints text to standard output, with a newline at its end if it has none.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn lines(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        let end: &[u8] = match text.is_empty() || text.ends_with('\n') {
            true => b"",
            false => b"\n",
        };
        out.write_all(text.as_bytes())
            .and_then(|()| out.write_all(end))
            .and_then(|()| out.flush())
            .map_err(|e| exit::io("writing to standard output", e))
    }

    /// Tells people something on standard error; programs are not told.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_json() {
            // nobody is left to be told that standard error is closed
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Reports an error on standard error, and says how the process ends.
    pub(crate) fn fail(&self, error: &Error) -> Exit {
        if exit::is_broken_pipe(error) {
            return Exit::Success;
        }
        let report = ErrorReport::new(error);
        let text = match self.format {
            OutputFormat::Text => report.to_text(),
            OutputFormat::Json => report.to_json(),
        };
        let _ = writeln!(std::io::stderr().lock(), "{text}");
        error.kind().into()
    }
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::invalid("result cannot be written as JSON").with_source(error)
}
