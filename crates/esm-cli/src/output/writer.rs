//! Standard output and standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, OnceLock};

use clap::ValueEnum;
use esm_core::{Error, Result};
use serde::Serialize;
use tokio::io::AsyncWrite;

use super::failure::ErrorReport;
use super::stdout::{self, Stdout};
use super::style;
use super::table::{Form, Table};
use super::text::Text;
use super::wrap::{stderr_width, stdout_width};
use crate::exit::Exit;

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
    /// How text on standard output is laid out.
    form: Form,
    /// Whether text on standard output has colors.
    colors: bool,
    /// Why a result of finished work could not be printed.
    lost: Arc<OnceLock<Error>>,
}

impl Output {
    /// Output in this format.
    pub(crate) fn new(format: OutputFormat) -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            format,
            form: Form {
                terminal,
                width: stdout_width(),
                heading: true,
            },
            colors: terminal && style::allowed(),
            lost: Arc::default(),
        }
    }

    /// The same output, whose tables have a heading or not.
    #[must_use]
    pub(crate) fn with_heading(mut self, heading: bool) -> Self {
        self.form.heading = heading;
        self
    }

    /// Whether the format is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Whether text goes to a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        self.form.terminal
    }

    /// The form of what is shown on standard error before a question or beside a result: aligned, even
    /// where it does not go to a terminal.
    pub(crate) fn note_form(&self) -> Form {
        Form {
            terminal: true,
            width: stderr_width(),
            heading: true,
        }
    }

    /// An id for people: on a terminal its last 8 characters, because the beginnings of ids that are
    /// ordered by time look alike.
    pub(crate) fn id(&self, id: impl Display) -> String {
        short_id(id, self.form)
    }

    /// Prints the result of finished work: as JSON, or as the text that `text` makes of it.
    ///
    /// Standard output that cannot be written does not end the command: its work is done, and
    /// [`ended`](Self::ended) reports the lost result.
    ///
    /// # Errors
    /// `Invalid` if the value has no form in JSON.
    pub(crate) fn result<T: Serialize, R: Into<Text>>(
        &self,
        value: &T,
        text: impl FnOnce(&T, Form) -> R,
    ) -> Result<()> {
        let printed = match (self.format, self.form.terminal) {
            (OutputFormat::Text, _) => self.text(text(value, self.form)),
            (OutputFormat::Json, true) => {
                print(&serde_json::to_string_pretty(value).map_err(unwritable)?)
            }
            (OutputFormat::Json, false) => self.json_line(value),
        };
        if let Err(error) = printed {
            // the first one says it
            let _ = self.lost.set(error);
        }
        Ok(())
    }

    /// Prints a JSON document on one line, for results that are printed one by one.
    ///
    /// # Errors
    /// Those of writing to standard output.
    pub(crate) fn json_line<T: Serialize>(&self, value: &T) -> Result<()> {
        print(&serde_json::to_string(value).map_err(unwritable)?)
    }

    /// Prints a table. If it continues another one (not `first`), tab-separated lines have no second
    /// heading.
    ///
    /// # Errors
    /// Those of writing to standard output.
    pub(crate) fn table(&self, table: &Table, first: bool) -> Result<()> {
        let Form {
            terminal, heading, ..
        } = self.form;
        self.text(table.to_text(Form {
            heading: heading && (terminal || first),
            ..self.form
        }))
    }

    /// A number in a table: formatted on a terminal, plain elsewhere.
    pub(crate) fn number(&self, number: u64, grouped: fn(u64) -> String) -> String {
        if self.form.terminal {
            grouped(number)
        } else {
            number.to_string()
        }
    }

    /// The width of the terminal, if standard output is one.
    pub(crate) fn width(&self) -> Option<usize> {
        self.form.width.filter(|_| self.form.terminal)
    }

    /// Prints text to standard output.
    ///
    /// # Errors
    /// Those of writing to standard output.
    pub(crate) fn text(&self, text: impl Into<Text>) -> Result<()> {
        let text = text.into();
        print(&text.shown(self.form.width, self.colors))
    }

    /// Standard output, for lines that are printed as they are.
    pub(crate) fn stdout(&self) -> impl AsyncWrite + Send + use<> {
        Stdout::new()
    }

    /// Prints a note on standard error, unless the format is JSON.
    pub(crate) fn note(&self, text: impl Into<Text>) {
        if !self.is_json() {
            text_to_stderr(&text.into());
        }
    }

    /// Reports an error on standard error, and returns the exit code.
    pub(crate) fn fail(&self, error: &Error) -> Exit {
        if stdout::has_no_reader(error) {
            return Exit::Success;
        }
        let report = ErrorReport::new(error);
        match self.format {
            OutputFormat::Text => text_to_stderr(&report.to_text()),
            OutputFormat::Json => to_stderr(&report.to_json()),
        }
        error.kind().into()
    }

    /// The exit code of a command whose work ended with `exit`. A result that was lost is reported,
    /// and decides the code of work that succeeded.
    pub(crate) fn ended(&self, exit: Exit) -> Exit {
        match self.lost.get() {
            Some(lost) if exit == Exit::Success => self.fail(lost),
            Some(lost) => {
                // the error of the work stays the last one
                self.note(format!("the result was not printed: {lost}"));
                exit
            }
            None => exit,
        }
    }
}

/// As [`Output::id`].
pub(crate) fn short_id(id: impl Display, form: Form) -> String {
    const SHOWN: usize = 8;
    let id = id.to_string();
    let cut = id
        .char_indices()
        .rev()
        .nth(SHOWN - 1)
        .filter(|_| form.terminal);
    cut.map_or_else(|| id.clone(), |(at, _)| id[at..].to_owned())
}

/// Writes lines to standard error, as far as it can be written: nothing else could report it.
pub(crate) fn to_stderr(lines: &str) {
    let _ = writeln!(io::stderr().lock(), "{lines}");
}

/// Writes text to standard error, fitted into its terminal.
pub(crate) fn text_to_stderr(text: &Text) {
    let colors = io::stderr().is_terminal() && style::allowed();
    to_stderr(&text.shown(stderr_width(), colors));
}

fn print(lines: &str) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{lines}")
        .and_then(|()| out.flush())
        .map_err(stdout::failed)
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::invalid("cannot write the result as JSON").with_source(error)
}
