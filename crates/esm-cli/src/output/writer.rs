//! Standard output and standard error.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use esm_core::{Error, Result};
use serde::Serialize;

use super::failure::ErrorReport;
use super::table::Table;
use crate::exit::{self, Exit};

/// Format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Tables on a terminal, tab-separated lines elsewhere.
    Text,
    /// A JSON document on standard output; an error is one on standard error.
    Json,
}

/// The output of results, notes and errors.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    format: OutputFormat,
    terminal: bool,
}

impl Output {
    /// Output in this format.
    pub(crate) fn new(format: OutputFormat) -> Self {
        Self {
            format,
            terminal: std::io::stdout().is_terminal(),
        }
    }

    /// Whether the format is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Prints a result: as JSON, or as the text that `text` makes of it.
    ///
    /// # Errors
    /// Those of writing to standard output.
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

    /// Prints a JSON document on one line, for results that are printed one by one.
    ///
    /// # Errors
    /// Those of writing to standard output.
    pub(crate) fn json_line<T: Serialize>(&self, value: &T) -> Result<()> {
        self.lines(&serde_json::to_string(value).map_err(unwritable)?)
    }

    /// Prints a table. If it continues another one (not `first`), tab-separated lines have no second
    /// heading.
    ///
    /// # Errors
    /// Those of writing to standard output.
    pub(crate) fn table(&self, table: &Table, first: bool) -> Result<()> {
        let text = table.to_text(self.terminal);
        if first || self.terminal {
            self.lines(&text)
        } else {
            self.lines(text.split_once('\n').map_or("", |(_, rows)| rows))
        }
    }

    /// A number in a table: formatted on a terminal, plain elsewhere.
    pub(crate) fn number(&self, number: u64, grouped: fn(u64) -> String) -> String {
        if self.terminal {
            grouped(number)
        } else {
            number.to_string()
        }
    }

    /// Prints text to standard output, and a newline if it does not end with one.
    ///
    /// # Errors
    /// Those of writing to standard output.
    pub(crate) fn lines(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        let end: &[u8] = if text.is_empty() || text.ends_with('\n') {
            b""
        } else {
            b"\n"
        };
        out.write_all(text.as_bytes())
            .and_then(|()| out.write_all(end))
            .and_then(|()| out.flush())
            .map_err(|e| exit::io("writing to standard output", e))
    }

    /// Prints a note on standard error, unless the format is JSON.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_json() {
            // a closed standard error cannot be reported
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Reports an error on standard error, and returns the exit code.
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
    Error::invalid("cannot write the result as JSON").with_source(error)
}
