//! Progress on standard error: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use crate::output::{self, Escaped, Output, Text};

/// Mode of the progress display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// A bar on a terminal, lines elsewhere, nothing with --output json.
    Auto,
    /// A progress bar.
    Bar,
    /// A line every five seconds.
    Lines,
    /// No progress.
    Off,
}

const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// A progress display.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Display);

#[derive(Debug, Clone)]
enum Display {
    Bar(ProgressBar),
    Lines(Arc<Mutex<Lines>>),
    Nothing,
}

#[derive(Debug)]
struct Lines {
    what: String,
    unit: &'static str,
    done: u64,
    total: Option<u64>,
    message: String,
    begun: Instant,
    next: Instant,
}

impl Progress {
    /// Starts to display the progress of `what`, counted in `unit`, of `total` if it is known.
    pub(crate) fn begin(
        mode: ProgressMode,
        output: &Output,
        what: &str,
        unit: Unit,
        total: Option<u64>,
    ) -> Self {
        let mode = match mode {
            ProgressMode::Auto if output.is_json() => ProgressMode::Off,
            ProgressMode::Auto if std::io::stderr().is_terminal() => ProgressMode::Bar,
            ProgressMode::Auto => ProgressMode::Lines,
            asked => asked,
        };
        Self(match mode {
            ProgressMode::Auto | ProgressMode::Off => Display::Nothing,
            ProgressMode::Bar => Display::Bar(bar(what, unit, total)),
            ProgressMode::Lines => {
                Display::Lines(Arc::new(Mutex::new(Lines::new(what, unit, total))))
            }
        })
    }

    /// Sets how much is done.
    pub(crate) fn at(&self, done: u64) {
        match &self.0 {
            Display::Bar(bar) => bar.set_position(done),
            Display::Lines(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.done = done;
                lines.print_if_due();
            }
            Display::Nothing => (),
        }
    }

    /// Sets the total, if it is known only now.
    pub(crate) fn total(&self, total: Option<u64>) {
        match (&self.0, total) {
            (Display::Bar(bar), Some(total)) => bar.set_length(total),
            (Display::Lines(lines), Some(_)) => {
                lines.lock().unwrap_or_else(PoisonError::into_inner).total = total;
            }
            _ => (),
        }
    }

    /// Sets the message beside the figures.
    pub(crate) fn about(&self, message: &str) {
        match &self.0 {
            Display::Bar(bar) => bar.set_message(Escaped(message).to_string()),
            Display::Lines(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                message.clone_into(&mut lines.message);
                lines.print_if_due();
            }
            Display::Nothing => (),
        }
    }

    /// Removes the display.
    pub(crate) fn end(&self) {
        if let Display::Bar(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Unit of the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes of input.
    Bytes,
    /// Events.
    Events,
    /// Objects.
    Objects,
}

fn bar(what: &str, unit: Unit, total: Option<u64>) -> ProgressBar {
    let figures = match (unit, total) {
        (Unit::Bytes, Some(_)) => "{bytes}/{total_bytes} ({bytes_per_sec}, {eta} left)",
        (Unit::Bytes, None) => "{bytes} ({bytes_per_sec})",
        (Unit::Events | Unit::Objects, Some(_)) => {
            "{human_pos}/{human_len} ({per_sec}, {eta} left)"
        }
        (Unit::Events | Unit::Objects, None) => "{human_pos} ({per_sec})",
    };
    let gauge = match total {
        Some(_) => "[{wide_bar}]",
        None => "{spinner}",
    };
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    let template = format!("{{prefix}} {gauge} {figures} {{msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(what.to_owned());
    bar
}

impl Lines {
    fn new(what: &str, unit: Unit, total: Option<u64>) -> Self {
        let begun = Instant::now();
        Self {
            what: what.to_owned(),
            unit: match unit {
                Unit::Bytes => "bytes",
                Unit::Events => "events",
                Unit::Objects => "objects",
            },
            done: 0,
            total,
            message: String::new(),
            begun,
            next: begun + BETWEEN_LINES,
        }
    }

    fn print_if_due(&mut self) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + BETWEEN_LINES;
        output::to_stderr(Text::line(self.line(now - self.begun)).as_str());
    }

    fn line(&self, elapsed: Duration) -> String {
        let done = output::count(self.done);
        let of = match self.total {
            Some(total) if total > 0 => format!(
                " of {} ({} %)",
                output::count(total),
                self.done.saturating_mul(100) / total
            ),
            _ => String::new(),
        };
        let time = output::duration(elapsed);
        let mut line = format!("{}: {done}{of} {} after {time}", self.what, self.unit);
        if !self.message.is_empty() {
            line.push_str(", ");
            line.push_str(&self.message);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_of_what_is_done() {
        let mut lines = Lines::new("import", Unit::Bytes, Some(2_000));
        lines.done = 500;
        assert_eq!(
            lines.line(Duration::from_secs(7)),
            "import: 500 of 2,000 (25 %) bytes after 7.0 s"
        );
        lines.total = None;
        lines.message = "order/1".to_owned();
        assert_eq!(
            lines.line(Duration::from_secs(7)),
            "import: 500 bytes after 7.0 s, order/1"
        );
    }
}
